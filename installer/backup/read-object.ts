import { AppError } from '../errors.ts';
import { CommandError } from '../host/command-error.ts';
import { decrypt } from './age.ts';
import type { BackupManifest, BackupObject } from './manifest.ts';
import type { Pace } from './pace.ts';
import type { Store } from './store/store.ts';
import type { ChildOutput } from './through-child.ts';
import { verifiedBytes } from './verified-bytes.ts';

/** A backup that was found, and the key that opens it. */
export interface OpenBackup {
  /** Where an object is read from: the copy on this server when it is whole, else the store. */
  readonly placeOf: (object: BackupObject) => Promise<Store>;
  /** Ends with a slash. */
  readonly folder: string;
  readonly manifest: BackupManifest;
  /** Needed for an encrypted one. */
  readonly identityFile: string | undefined;
  /** Beside a busy product, where nobody waits for it. */
  readonly pace?: Pace;
  /** Ends the reading early; what was read so far is thrown away then. */
  readonly signal?: AbortSignal;
}

/**
 * The plain bytes of an object, checked as they pass.
 * @param output where those of an encrypted one go instead
 * @throws AppError `backup/damaged`, `restore/wrong-identity`
 */
export async function* readObject(
  { placeOf, folder, manifest, identityFile, pace, signal }: OpenBackup,
  object: BackupObject,
  output?: ChildOutput,
): AsyncGenerator<Buffer> {
  const store = await placeOf(object);
  const verified = verifiedBytes(store, folder, object, signal);
  const stored = pace?.through(verified) ?? verified;
  if (manifest.encryption.kind === 'none') {
    yield* stored;
    return;
  }
  if (identityFile === undefined) throw noIdentity();
  try {
    yield* decrypt(stored, identityFile, output);
  } catch (error) {
    // age notices a changed byte before its range is read to the end; the range is what helps. One in its header may
    // look like a key that does not fit, or like anything else: the header lies in the first range.
    const isDamaged = error instanceof AppError && error.code === 'backup/damaged';
    const isOfHeader = error instanceof CommandError || isWrongKey(error);
    const end = isDamaged ? object.size : isOfHeader ? object.rangeBytes : 0;
    if (end > 0) await proveUpTo(verifiedBytes(store, folder, object), end);
    throw error;
  }
}

function isWrongKey(error: unknown): boolean {
  return error instanceof AppError && error.code === 'restore/wrong-identity';
}

/** Reads all of an object as it is stored. @throws AppError `backup/damaged` with the byte range */
export async function proveObject(
  { placeOf, folder, signal }: OpenBackup,
  object: BackupObject,
): Promise<void> {
  const bytes = verifiedBytes(await placeOf(object), folder, object, signal);
  await proveUpTo(bytes, object.size);
}

async function proveUpTo(bytes: AsyncIterable<Buffer>, end: number): Promise<void> {
  let read = 0;
  for await (const chunk of bytes) {
    read += chunk.length;
    // One byte more has proved the range before it.
    if (read > end) return;
  }
}

/** The whole of a small object as text. */
export async function readText(backup: OpenBackup, object: BackupObject): Promise<string> {
  const chunks: Buffer[] = [];
  for await (const chunk of readObject(backup, object)) chunks.push(chunk);
  return Buffer.concat(chunks).toString('utf8');
}

function noIdentity(): AppError {
  return new AppError({
    code: 'restore/no-identity',
    what: 'the backup is encrypted and no key was named',
    hint: 'name your recovery key: `holdfast restore ID --identity FILE`',
  });
}
