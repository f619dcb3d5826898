import { AppError } from '../errors.ts';
import type { BackupObject } from './manifest.ts';
import { RangeHasher } from './range-hasher.ts';
import type { Store } from './store/store.ts';

/**
 * The bytes of a stored object, compared with its manifest as they pass. A range that differs is thrown as
 * soon as its last byte was read, so whoever acts on the bytes must be able to take that back.
 * @throws AppError `backup/damaged` with the byte range
 */
export async function* verifiedBytes(
  store: Store,
  folder: string,
  object: BackupObject,
  signal?: AbortSignal,
): AsyncGenerator<Buffer> {
  const hasher = new RangeHasher(object.rangeBytes, (index, sha256) => {
    if (sha256 !== object.ranges[index]) throw damaged(store, object, rangeText(object, index));
  });
  const found = await store.head(`${folder}${object.name}`);
  if (found === undefined) throw damaged(store, object, 'it is gone');
  if (found.size !== object.size) throw damaged(store, object, sizeText(object, found.size));
  for await (const chunk of await store.get(`${folder}${object.name}`)) {
    signal?.throwIfAborted();
    hasher.update(chunk as Buffer);
    if (hasher.size > object.size) throw damaged(store, object, sizeText(object, hasher.size));
    yield chunk as Buffer;
  }
  // The shorter last range of a truncated object would be reported as flipped bytes.
  if (hasher.size !== object.size) throw damaged(store, object, sizeText(object, hasher.size));
  const { sha256 } = hasher.finish();
  if (sha256 !== object.sha256) throw damaged(store, object, 'its checksum differs');
}

function rangeText({ ranges, rangeBytes, size }: BackupObject, index: number): string {
  const from = index * rangeBytes;
  const to = Math.min(from + rangeBytes, size) - 1;
  return `bytes ${from} to ${to} (part ${index + 1} of ${ranges.length}) differ from what was written`;
}

function sizeText({ size }: BackupObject, found: number): string {
  return found < size
    ? `it ends at byte ${found} of ${size}: bytes ${found} to ${size - 1} are missing`
    : `it has ${found} bytes instead of ${size}`;
}

function damaged(store: Store, object: BackupObject, why: string): AppError {
  return new AppError({
    code: 'backup/damaged',
    what: `${object.name} in ${store.description} is damaged`,
    why,
    hint: 'choose another backup (`holdfast backup list`) and make a new one (`holdfast backup run`)',
    details: { object: object.name, why },
  });
}
