import { createHash } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { AppError } from '../errors.ts';
import { replaceFile } from './durable.ts';

/** A server's public key as its SSH greeting gives it. */
export interface HostKey {
  /** Such as `ssh-ed25519`. */
  readonly type: string;
  readonly blob: Buffer;
}

/** Key algorithms that ssh2 can check, best first, with the type of the key behind each. */
const ALGORITHMS: readonly (readonly [algorithm: ServerHostKeyAlgorithm, type: string])[] = [
  ['ssh-ed25519', 'ssh-ed25519'],
  ['ecdsa-sha2-nistp256', 'ecdsa-sha2-nistp256'],
  ['ecdsa-sha2-nistp384', 'ecdsa-sha2-nistp384'],
  ['ecdsa-sha2-nistp521', 'ecdsa-sha2-nistp521'],
  ['rsa-sha2-512', 'ssh-rsa'],
  ['rsa-sha2-256', 'ssh-rsa'],
];

export type ServerHostKeyAlgorithm =
  | 'ssh-ed25519'
  | 'ecdsa-sha2-nistp256'
  | 'ecdsa-sha2-nistp384'
  | 'ecdsa-sha2-nistp521'
  | 'rsa-sha2-512'
  | 'rsa-sha2-256';

/** The keys of the servers that we have met, in a file of ours in OpenSSH's format. */
export class KnownHosts {
  readonly #path: string;

  constructor(path: string) {
    this.#path = path;
  }

  /** What to offer a server, its known key's algorithms first, so that it shows the key that we know. */
  async algorithmsFor(host: string): Promise<ServerHostKeyAlgorithm[]> {
    const types = (await this.#keysOf(host)).map(({ type }) => type);
    const isKnown = ([, type]: (typeof ALGORITHMS)[number]): boolean => types.includes(type);
    return [...ALGORITHMS.filter(isKnown), ...ALGORITHMS.filter((one) => !isKnown(one))].map(
      ([algorithm]) => algorithm,
    );
  }

  /**
   * Accepts a known key, and remembers the key of a server that was never met.
   * @throws AppError `host/host-key-changed`
   */
  async check(host: string, key: HostKey): Promise<void> {
    const known = await this.#keysOf(host);
    if (known.some(({ blob }) => blob.equals(key.blob))) return;
    const [first] = known;
    if (first !== undefined) throw this.#changed(host, first, key);
    const line = `${host} ${key.type} ${key.blob.toString('base64')}\n`;
    await replaceFile(this.#path, `${await this.#text()}${line}`, {
      mode: 0o600,
      uid: process.getuid?.() ?? 0,
      gid: process.getgid?.() ?? 0,
    });
  }

  async #keysOf(host: string): Promise<HostKey[]> {
    const lines = (await this.#text()).split('\n').map((line) => line.split(' '));
    return lines.flatMap(([name, type, key]) =>
      name === host && type !== undefined && key !== undefined
        ? [{ type, blob: Buffer.from(key, 'base64') }]
        : [],
    );
  }

  async #text(): Promise<string> {
    try {
      return await readFile(this.#path, 'utf8');
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === 'ENOENT') return '';
      throw error;
    }
  }

  #changed(host: string, known: HostKey, shown: HostKey): AppError {
    return new AppError({
      code: 'host/host-key-changed',
      what: `${host} shows another host key than before: somebody may be listening in`,
      why: `known is ${fingerprint(known)}, shown is ${fingerprint(shown)}`,
      hint: `compare with \`ssh-keygen -lf /etc/ssh/ssh_host_ed25519_key.pub\` on the server's console; if the server was reinstalled, remove its line from ${this.#path}`,
    });
  }
}

/** Reads the type out of a key, which starts with it. */
export function hostKeyOf(blob: Buffer): HostKey {
  return { type: blob.subarray(4, 4 + blob.readUInt32BE(0)).toString('latin1'), blob };
}

function fingerprint({ type, blob }: HostKey): string {
  const digest = createHash('sha256').update(blob).digest('base64').replace(/=+$/, '');
  return `${type} SHA256:${digest}`;
}
