import { AppError } from '../errors.ts';
import { formatBytes } from '../model/format-bytes.ts';
import { encrypt, encryptOutput } from './age.ts';
import type { LocalCopy } from './local-copy.ts';
import type { BackupObject } from './manifest.ts';
import type { Pace } from './pace.ts';
import { outputOfProgram } from './program-output.ts';
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
  readonly lockedUntil?: Date | undefined;
  /** Beside a busy product, where nobody waits for it. */
  readonly pace?: Pace | undefined;
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
  const counted = (bytes: number): void => {
    plainSize = bytes;
    target.onProgress(bytes);
  };

  async function* hashed(body: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array> {
    for await (const chunk of body) {
      hasher.update(chunk);
      yield chunk;
    }
  }

  async function* floored(body: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array> {
    yield* body;
    // Thrown inside the stream, so that the store never gets the end of it.
    if (plainSize < source.floorBytes) throw tooSmall(source, plainSize);
  }

  const content = await contentOf(source, target.recipientsFile, counted);
  const stored = hashed(floored(target.pace?.through(content) ?? content));
  const body = target.localCopy === undefined ? stored : target.localCopy.tee(key, stored);
  await target.store.put(key, body, source.expectedBytes, target.lockedUntil);
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

/** @param onPlain bytes before encryption, so far */
async function contentOf(
  { content }: SourceObject,
  recipientsFile: string | undefined,
  onPlain: (bytes: number) => void,
): Promise<AsyncIterable<Uint8Array>> {
  if (content.kind === 'program') {
    const program = await content.prepare();
    return recipientsFile === undefined
      ? countBytes(outputOfProgram(program), onPlain)
      : encryptOutput(program, recipientsFile, onPlain);
  }
  const plain = countBytes(content.read(), onPlain);
  return recipientsFile === undefined ? plain : encrypt(plain, recipientsFile);
}

async function* countBytes(
  body: AsyncIterable<Uint8Array>,
  onBytes: (bytes: number) => void,
): AsyncGenerator<Uint8Array> {
  let bytes = 0;
  for await (const chunk of body) {
    bytes += chunk.length;
    onBytes(bytes);
    yield chunk;
  }
}

function tooSmall(source: SourceObject, size: number): AppError {
  return new AppError({
    code: 'backup/too-small',
    what: `${source.name} came to ${formatBytes(size)}, too few to be a backup`,
    why: `even an empty one has ${formatBytes(source.floorBytes)}`,
    hint: 'holdfast logs postgres; then `holdfast backup run`',
  });
}
