import { posix } from 'node:path';
import { AppError } from '../errors.ts';
import type { Host } from '../host/host.ts';
import type { Paths } from '../model/paths.ts';
import { exclusively } from './exclusive.ts';

const LOCK_WAIT_SECONDS = 30;

/** The key that lives on the server, so that restores can be tested without the user. */
export const RESTORE_TEST_IDENTITY = 'RESTORE_TEST_IDENTITY';

export function restoreTestIdentityFile(paths: Paths): string {
  return posix.join(paths.secrets, RESTORE_TEST_IDENTITY);
}

export interface Recipients {
  /** Public keys, one a line. */
  readonly file: string;
  readonly keys: readonly string[];
}

/**
 * Writes the file of all public keys that a backup is encrypted to: the user's and the restore-test key's,
 * which is made when it is not there.
 */
export async function prepareRecipients(
  host: Host,
  paths: Paths,
  userKeys: readonly string[],
): Promise<Recipients> {
  const prepare = async (): Promise<Recipients> => {
    const keys = [...new Set([...userKeys, await restoreTestRecipient(host, paths)])];
    const file = posix.join(paths.agent, 'recipients.txt');
    await host.write(file, `${keys.join('\n')}\n`, { mode: 0o644, uid: 0, gid: 0 });
    return { file, keys };
  };
  // Two jobs may start in the same second; each of them making a key would lose one.
  const locks = posix.join(paths.agent, 'locks');
  return await exclusively(host, locks, 'recovery-keys', prepare, LOCK_WAIT_SECONDS);
}

async function restoreTestRecipient(host: Host, paths: Paths): Promise<string> {
  const path = restoreTestIdentityFile(paths);
  let identity = await host.read(path);
  if (identity === undefined) {
    const { stdout } = await host.run({ argv: ['age-keygen'] });
    const line = stdout.split('\n').find((one) => one.startsWith('AGE-SECRET-KEY-'));
    if (line === undefined) throw noKey('age-keygen printed no key');
    identity = Buffer.from(`${line}\n`, 'utf8');
    await host.makeDirectory(paths.secrets, { mode: 0o700, uid: 0, gid: 0 });
    await host.write(path, identity, { mode: 0o600, uid: 0, gid: 0 });
  }
  const { stdout } = await host.run({ argv: ['age-keygen', '-y'], stdin: identity });
  const recipient = stdout.trim();
  if (!recipient.startsWith('age1')) throw noKey(`${path} holds no age key`);
  return recipient;
}

function noKey(why: string): AppError {
  return new AppError({
    code: 'backup/no-key',
    what: 'there is no key to encrypt backups to',
    why,
    hint: `holdfast secrets generate ${RESTORE_TEST_IDENTITY}`,
  });
}
