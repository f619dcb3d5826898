import { randomBytes } from 'node:crypto';
import { posix } from 'node:path';
import type { Host } from '../host/host.ts';
import type { ChallengeKind, Proof } from './challenge.ts';
import { checkReached } from './reached.ts';

/** Files that nginx shows on port 80, and nobody else writes. */
export const CHALLENGE_PATH = '/.well-known/acme-challenge';

export interface HttpChallengeOptions {
  readonly host: Host;
  /** Folder on the host whose files nginx shows below {@link CHALLENGE_PATH}. */
  readonly folder: string;
  readonly port: number;
  readonly proxied: boolean;
}

/** http-01: a file behind nginx. */
export function httpChallenge(options: HttpChallengeOptions): ChallengeKind {
  const { host, folder } = options;
  const write = (token: string, content: string): Promise<void> =>
    host.write(posix.join(folder, token), content, { mode: 0o644, uid: 0, gid: 0 });
  /** What killed runs left there: one run at a time has proofs to show, of one order at a time. */
  const sweep = async (): Promise<void> => {
    for (const name of await host.list(folder)) await host.remove(posix.join(folder, name));
  };
  return {
    type: 'http-01',
    check: async (hosts) => {
      await sweep();
      const token = `check-${randomBytes(16).toString('hex')}`;
      const content = randomBytes(16).toString('hex');
      await write(token, content);
      try {
        const path = `${CHALLENGE_PATH}/${token}`;
        for (const name of hosts) {
          await checkReached({ name, path, content, port: options.port, proxied: options.proxied });
        }
      } finally {
        await host.remove(posix.join(folder, token));
      }
    },
    show: async (proofs) => {
      await sweep();
      for (const { token, content } of proofs) await write(safeToken(token), content);
    },
    takeBack: async (proofs: readonly Proof[]) => {
      for (const { token } of proofs) await host.remove(posix.join(folder, safeToken(token)));
    },
  };
}

/** RFC 8555 promises base64url; a file name of somebody else's choice is looked at all the same. */
function safeToken(token: string): string {
  if (/^[\w-]+$/.test(token)) return token;
  throw new Error(`the authority sent a token that is no base64url: ${JSON.stringify(token)}`);
}
