import { AppError } from '../errors.ts';
import { formatBytes } from '../model/format-bytes.ts';
import { encrypt } from './age.ts';
import type { LocalCopy } from './local-copy.ts';
import type { BackupObject } from './manifest.ts';
import { RangeHasher, rangeBytesFor } from './range-hasher.ts';
import type { SourceObject } from './sources/source.ts';
import type { Store } from './store/store.ts';

export interface ObjectTarget {
  readonly store: Store;
  /** Ends with a slash. */
  readonly folder: string;
  /** Public keys; undefined stores in the clear. */
  readonly recipientsFile: string | undefined;
  readonly localCopy: LocalCopy | undefined;
  /** May throw to stop. */
  readonly onProgress: (plainBytes: number) => void;
}

/** Streams one object from its source through encryption into the store, hashing what is stored. */
export async function storeObject(
  target: ObjectTarget,
  source: SourceObject,
): Promise<BackupObject> {
  const name = target.recipientsFile === undefined ? source.name : `${source.name}.age`;
  const key = `${target.folder}${name}`;
  const hasher = new RangeHasher(rangeBytesFor(source.expectedBytes));
  let plainSize = 0;

  async function* plain(): AsyncGenerator<Uint8Array> {
    for await (const chunk of source.read()) {
      plainSize += chunk.length;
      target.onProgress(plainSize);
      yield chunk;
    }
    // Thrown inside the stream, so that the store never gets the end of it.
    if (plainSize < source.floorBytes) throw tooSmall(source, plainSize);
  }
  async function* hashed(body: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array> {
    for await (const chunk of body) {
      hasher.update(chunk);
      yield chunk;
    }
  }

  const stored = hashed(
    target.recipientsFile === undefined ? plain() : encrypt(plain(), target.recipientsFile),
  );
  const body = target.localCopy === undefined ? stored : target.localCopy.tee(key, stored);
  await target.store.put(key, body, source.expectedBytes);
  const { size, sha256, rangeBytes, ranges } = hasher.finish();
  return {
    name,
    role: source.role,
    format: source.format,
    ...(source.database === undefined ? {} : { database: source.database }),
    size,
    sha256,
    rangeBytes,
    ranges: [...ranges],
    plainSize,
  };
}

function tooSmall(source: SourceObject, size: number): AppError {
  return new AppError({
    code: 'backup/too-small',
    what: `${source.name} came to ${formatBytes(size)}, too few to be a backup`,
    why: `even an empty one has ${formatBytes(source.floorBytes)}`,
    hint: 'holdfast logs postgres; then `holdfast backup run`',
  });
}
