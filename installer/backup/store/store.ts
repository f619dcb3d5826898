import type { Readable } from 'node:stream';

export interface StoredFile {
  readonly key: string;
  /** Bytes. */
  readonly size: number;
  /** UTC, by the store's own clock. */
  readonly storedAt: Date;
}

/** From `from` up to and without `to`, bytes. */
export interface ByteRange {
  readonly from: number;
  readonly to: number;
}

/**
 * Where backups are kept. Keys are paths with `/` and hold only `[A-Za-z0-9._-]` between them.
 * Each method throws AppError of class `store`.
 */
export interface Store {
  /** For messages: `directory /srv/backups` or `bucket backups of r2`. */
  readonly description: string;
  /**
   * Stores a stream whole or not at all, in constant memory. A source that throws leaves nothing behind.
   * @param expectedBytes chooses the part size; a wrong guess costs memory or requests, not correctness
   * @param lockedUntil nobody may change or remove it before; stores without such a lock ignore it
   */
  put(
    key: string,
    body: AsyncIterable<Uint8Array>,
    expectedBytes: number,
    lockedUntil?: Date,
  ): Promise<void>;
  /** Stores a few bytes in one step. Replaces what is there. */
  putSmall(key: string, content: Uint8Array, lockedUntil?: Date): Promise<void>;
  /** @throws AppError `store/missing` when there is nothing under the key */
  get(key: string, range?: ByteRange): Promise<Readable>;
  /** Undefined when there is nothing under the key. */
  head(key: string): Promise<StoredFile | undefined>;
  /** All keys below the prefix, sorted. Throws rather than ending early. */
  list(prefix: string): AsyncIterable<StoredFile>;
  /**
   * Nothing there is no error.
   * @param everyVersion also what a store that keeps versions would only hide
   */
  delete(keys: readonly string[], everyVersion?: boolean): Promise<void>;
  /** Ends uploads below the prefix that were never finished, where `isStale` says so; gives their number. */
  abortUploads(
    prefix: string,
    isStale: (upload: { readonly key: string; readonly startedAt: Date }) => boolean,
  ): Promise<number>;
  close(): void;
}

/** Reads an object that is known to be small, at most 64 MiB. Undefined when there is none. */
export async function readSmall(store: Store, key: string): Promise<Buffer | undefined> {
  const file = await store.head(key);
  if (file === undefined) return undefined;
  if (file.size > 64 * 1024 ** 2) {
    throw new RangeError(`${key} has ${file.size} bytes: too many to read at once`);
  }
  const chunks: Buffer[] = [];
  for await (const chunk of await store.get(key)) chunks.push(chunk as Buffer);
  return Buffer.concat(chunks);
}
