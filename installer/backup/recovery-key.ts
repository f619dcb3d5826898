import { randomBytes } from 'node:crypto';
import { posix } from 'node:path';
import { AppError } from '../errors.ts';
import type { Host } from '../host/host.ts';
import type { Paths } from '../model/paths.ts';
import { RECOVERY_KEYS_FILE, type RecoveryKeyRecord } from '../model/recovery-key-record.ts';
import { Secret } from '../model/secret.ts';

/** Public half of an age key, as `age-keygen` prints it. */
export const RECIPIENT = /^age1[02-9ac-hj-np-z]{58}$/;
const IDENTITY = /^AGE-SECRET-KEY-1[02-9AC-HJ-NP-Z]{58}$/m;

export interface RecoveryKey {
  /** Never on a disk of this server. */
  readonly identity: Secret;
  readonly recipient: string;
}

/** @throws AppError `backup/no-key`; CommandError when `age-keygen` is not there */
export async function makeRecoveryKey(host: Host): Promise<RecoveryKey> {
  const { stdout } = await host.run({ argv: ['age-keygen'] });
  const identity = IDENTITY.exec(stdout)?.[0];
  if (identity === undefined) {
    throw new AppError({
      code: 'backup/no-key',
      what: 'no recovery key could be made',
      why: 'age-keygen printed no key',
      hint: 'holdfast doctor',
    });
  }
  const asked = await host.run({ argv: ['age-keygen', '-y'], stdin: Buffer.from(`${identity}\n`) });
  return { identity: new Secret(identity), recipient: asked.stdout.trim() };
}

export interface Challenge {
  /** Armoured age message; only the secret half of the key tells the word in it. */
  readonly message: string;
  readonly word: string;
}

export async function challengeFor(host: Host, recipient: string): Promise<Challenge> {
  const word = randomBytes(4).toString('hex');
  const { stdout } = await host.run({
    argv: ['age', '--armor', '--encrypt', '--recipient', recipient],
    stdin: Buffer.from(`${word}\n`),
  });
  return { message: stdout, word };
}

export async function readKeyRecord(host: Host, paths: Paths): Promise<RecoveryKeyRecord> {
  const content = await host.read(recordFile(paths));
  if (content === undefined) return { version: 1, provenAt: {} };
  return JSON.parse(Buffer.from(content).toString('utf8')) as RecoveryKeyRecord;
}

export async function recordProof(
  host: Host,
  paths: Paths,
  recipient: string,
  at: Date,
): Promise<void> {
  const { provenAt } = await readKeyRecord(host, paths);
  await write(host, paths, {
    version: 1,
    provenAt: { ...provenAt, [recipient]: at.toISOString() },
  });
}

export async function recordDecline(host: Host, paths: Paths, at: Date): Promise<void> {
  const record = await readKeyRecord(host, paths);
  await write(host, paths, { ...record, declinedAt: at.toISOString() });
}

async function write(host: Host, paths: Paths, record: RecoveryKeyRecord): Promise<void> {
  await host.makeDirectory(paths.agent, { mode: 0o700, uid: 0, gid: 0 });
  const text = `${JSON.stringify(record)}\n`;
  await host.write(recordFile(paths), text, { mode: 0o600, uid: 0, gid: 0 });
}

function recordFile({ agent }: Paths): string {
  return posix.join(agent, RECOVERY_KEYS_FILE);
}
