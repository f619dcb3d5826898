import { createHash } from 'node:crypto';
import { HeadObjectCommand, type HeadObjectCommandOutput } from '@aws-sdk/client-s3';
import { AppError } from '../../errors.ts';
import type { BucketPlace } from '../../model/bucket-settings.ts';
import { PATIENCE, type Patience, type S3Credentials, s3Client } from '../store/s3-client.ts';
import { download } from '../store/s3-download.ts';
import { isMissingObject, storeError } from '../store/s3-errors.ts';
import { S3Store } from '../store/s3-store.ts';
import { type ObjectHeaders, putObject, upload } from '../store/s3-upload.ts';
import type { StoredFile } from '../store/store.ts';
import { withRetries } from '../store/with-retries.ts';
import { missingAt } from './missing-objects.ts';

/** Bytes up to which an object goes in one piece. */
const SMALL = 5 * 1024 ** 2;

/** Objects on their way at a time: each holds some parts in memory. */
const AT_A_TIME = 2;

export interface BucketSide {
  readonly place: BucketPlace;
  readonly credentials: S3Credentials;
}

export interface CopyOptions {
  readonly signal?: AbortSignal;
  /** Of an object that could not be copied; the others are. */
  readonly onFailure: (error: AppError) => void;
  readonly patience?: Patience;
}

export interface CopiedObjects {
  readonly objects: number;
  readonly bytes: number;
  readonly failed: number;
}

/**
 * Copies to another bucket what it lacks or has in an older version, with the headers that readers are given. Never
 * removes anything there: what was deleted by mistake is still in the copy. Constant memory however many objects
 * there are.
 * @throws AppError class `store` when one of the two cannot be listed
 */
export async function copyBucket(
  from: BucketSide,
  to: BucketSide,
  { signal, onFailure, patience = PATIENCE }: CopyOptions,
): Promise<CopiedObjects> {
  const origin = new S3Store(from.place, from.credentials, patience);
  const target = new S3Store(to.place, to.credentials, patience);
  const copier = new Copier(from, to, patience);
  let objects = 0;
  let bytes = 0;
  let failed = 0;
  const copy = async (file: StoredFile): Promise<void> => {
    try {
      if (!(await copier.copy(file.key))) return;
      objects += 1;
      bytes += file.size;
    } catch (error) {
      failed += 1;
      onFailure(storeError(error, `${file.key} could not be copied`));
    }
  };
  const running = new Set<Promise<void>>();
  try {
    for await (const file of missingAt(origin.list(''), target.list(''))) {
      if (signal?.aborted === true) break;
      const one = copy(file).finally(() => running.delete(one));
      running.add(one);
      if (running.size >= AT_A_TIME) await Promise.race(running);
    }
    await Promise.all(running);
    return { objects, bytes, failed };
  } finally {
    await Promise.all(running);
    for (const closed of [origin, target, copier]) closed.close();
  }
}

class Copier {
  readonly #from: { readonly client: ReturnType<typeof s3Client>; readonly bucket: string };
  readonly #to: { readonly client: ReturnType<typeof s3Client>; readonly bucket: string };
  readonly #patience: Patience;

  constructor(from: BucketSide, to: BucketSide, patience: Patience) {
    const side = ({ place, credentials }: BucketSide) => ({
      client: s3Client(place, credentials, patience),
      bucket: place.bucket,
    });
    this.#from = side(from);
    this.#to = side(to);
    this.#patience = patience;
  }

  /** False when it is gone since it was listed. */
  async copy(key: string): Promise<boolean> {
    const patience = this.#patience;
    const { client, bucket } = this.#from;
    const head = await this.#head(key);
    if (head === undefined) return false;
    const size = head.ContentLength ?? 0;
    const target = { ...this.#to, key, headers: headersOf(head), patience };
    const bytes = checked(key, head, download({ client, bucket, key, patience }, undefined));
    if (size <= SMALL) {
      await putObject(target, await whole(bytes));
      return true;
    }
    await upload(target, bytes, size);
    // It was on its way for long, maybe in several reads, and may have been replaced by one of the same size.
    const after = await this.#head(key);
    if (after?.ETag !== head.ETag) throw changed(key);
    return true;
  }

  /** Undefined when there is none. */
  async #head(key: string): Promise<HeadObjectCommandOutput | undefined> {
    const { client, bucket } = this.#from;
    const { retryWaits, idleSeconds } = this.#patience;
    const attempts = { retryWaits, timeoutSeconds: idleSeconds };
    return await withRetries(`could not look at ${key}`, attempts, async (abortSignal) => {
      try {
        return await client.send(new HeadObjectCommand({ Bucket: bucket, Key: key }), {
          abortSignal,
        });
      } catch (error) {
        if (isMissingObject(error)) return undefined;
        throw error;
      }
    });
  }

  close(): void {
    this.#from.client.destroy();
    this.#to.client.destroy();
  }
}

async function whole(bytes: AsyncIterable<Buffer>): Promise<Buffer> {
  const chunks: Buffer[] = [];
  for await (const chunk of bytes) chunks.push(chunk);
  return Buffer.concat(chunks);
}

function headersOf(head: HeadObjectCommandOutput): ObjectHeaders {
  const names = [
    'ContentType',
    'CacheControl',
    'ContentDisposition',
    'ContentEncoding',
    'ContentLanguage',
    'Metadata',
  ] as const;
  const expires = new Date(head.ExpiresString ?? '');
  return {
    ...(Number.isNaN(expires.getTime()) ? {} : { Expires: expires }),
    ...Object.fromEntries(
      names.flatMap((name) => (head[name] === undefined ? [] : [[name, head[name]]])),
    ),
  };
}

/** Throws at the end when the bytes are not those that the store has noted, where that can be told. */
async function* checked(
  key: string,
  head: HeadObjectCommandOutput,
  bytes: AsyncIterable<Buffer>,
): AsyncGenerator<Buffer> {
  const hash = createHash('md5');
  let length = 0;
  for await (const chunk of bytes) {
    hash.update(chunk);
    length += chunk.length;
    yield chunk;
  }
  // Of an object in parts, or one encrypted with a key of the customer's, the tag is something else.
  const tag = /^"([0-9a-f]{32})"$/.exec(head.ETag ?? '')?.[1];
  const isDigest = head.ServerSideEncryption?.startsWith('aws:kms') !== true;
  const differs = tag !== undefined && isDigest && hash.digest('hex') !== tag;
  if (length !== head.ContentLength || differs) throw changed(key);
}

function changed(key: string): AppError {
  return new AppError({
    code: 'store/damaged-in-transit',
    what: `${key} arrived with other bytes than are stored, or was replaced meanwhile`,
    hint: 'holdfast buckets copy',
  });
}
