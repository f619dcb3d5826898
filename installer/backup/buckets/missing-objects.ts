import { AppError } from '../../errors.ts';
import type { StoredFile } from '../store/store.ts';

/**
 * The clocks of two providers may differ by this much, milliseconds: an object that was stored so shortly before its
 * copy counts as newer, and is copied once more.
 */
const CLOCKS_DIFFER = 15 * 60_000;

/**
 * Those of the first listing that the second lacks, or has with another size or from before. Both come sorted by the
 * bytes of their keys, as S3 lists them, and are walked side by side.
 * @throws AppError `store/unsorted` when one does not: then nothing could be told from it
 */
export async function* missingAt(
  origin: AsyncIterable<StoredFile>,
  copies: AsyncIterable<StoredFile>,
): AsyncGenerator<StoredFile> {
  const rest = sorted(copies)[Symbol.asyncIterator]();
  try {
    let copy = await rest.next();
    for await (const file of sorted(origin)) {
      while (copy.done !== true && compare(copy.value.key, file.key) < 0) copy = await rest.next();
      if (copy.done === true || copy.value.key !== file.key || isOlder(copy.value, file))
        yield file;
    }
  } finally {
    await rest.return?.(undefined);
  }
}

function isOlder(copy: StoredFile, file: StoredFile): boolean {
  if (copy.size !== file.size) return true;
  return file.storedAt.getTime() > copy.storedAt.getTime() - CLOCKS_DIFFER;
}

async function* sorted(files: AsyncIterable<StoredFile>): AsyncGenerator<StoredFile> {
  let before: string | undefined;
  for await (const file of files) {
    if (before !== undefined && compare(before, file.key) >= 0) throw unsorted(before, file.key);
    before = file.key;
    yield file;
  }
}

function compare(a: string, b: string): number {
  return Buffer.compare(Buffer.from(a), Buffer.from(b));
}

function unsorted(before: string, key: string): AppError {
  return new AppError({
    code: 'store/unsorted',
    what: 'the store does not list its objects in order',
    why: `${JSON.stringify(key)} came after ${JSON.stringify(before)}`,
    hint: 'this provider cannot be copied from or to: take replicateTo out of config.yaml',
  });
}
