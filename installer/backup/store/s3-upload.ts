import {
  AbortMultipartUploadCommand,
  CompleteMultipartUploadCommand,
  CreateMultipartUploadCommand,
  PutObjectCommand,
  PutObjectRetentionCommand,
  type S3Client,
  type StorageClass,
  UploadPartCommand,
} from '@aws-sdk/client-s3';
import { md5, sendMd5 } from './content-md5.ts';
import { type Part, partBytesFor, sendInParts } from './part-buffers.ts';
import type { Patience } from './s3-client.ts';
import { type Attempts, withRetries } from './with-retries.ts';

/** Two parts on their way while the third is filled: enough for one connection's round trips. */
const BUFFERS = 3;
/** Slowest line that is waited for, bytes per second. */
const SLOWEST = 128 * 1024;

export interface UploadTarget {
  readonly client: S3Client;
  readonly bucket: string;
  readonly key: string;
  readonly storageClass?: StorageClass;
  /** Nobody may change or remove the object before. */
  readonly lockedUntil?: Date;
  readonly headers?: ObjectHeaders;
  readonly patience: Patience;
}

/** What a store gives with an object to whoever reads it. */
export interface ObjectHeaders {
  readonly ContentType?: string;
  readonly CacheControl?: string;
  readonly ContentDisposition?: string;
  readonly ContentEncoding?: string;
  readonly ContentLanguage?: string;
  readonly Expires?: Date;
  readonly Metadata?: Record<string, string>;
}

/** Uploads a stream: in one request when it fits into a part, else in equal parts; aborts when anything fails. */
export async function upload(
  target: UploadTarget,
  body: AsyncIterable<Uint8Array>,
  expectedBytes: number,
): Promise<void> {
  const multipart = new Multipart(target);
  try {
    await sendInParts(body, partBytesFor(expectedBytes), BUFFERS, async (part) => {
      if (part.number === 1 && part.isLast) await putObject(target, part.content);
      else await multipart.send(part);
    });
    await multipart.complete();
  } catch (error) {
    await multipart.abort();
    throw error;
  }
}

export async function putObject(target: UploadTarget, content: Uint8Array): Promise<void> {
  const { client, bucket, key, storageClass, lockedUntil, headers } = target;
  await withRetries(`could not store ${key}`, attempts(target, content.length), (abortSignal) =>
    client.send(
      new PutObjectCommand({
        Bucket: bucket,
        Key: key,
        Body: content,
        ContentLength: content.length,
        ContentMD5: md5(content),
        ...headers,
        ...(storageClass === undefined ? {} : { StorageClass: storageClass }),
        ...lockHeaders(lockedUntil),
      }),
      { abortSignal },
    ),
  );
}

/** Compliance: not even the owner of the account can take it back. */
function lockHeaders(until: Date | undefined) {
  if (until === undefined) return {};
  return { ObjectLockMode: 'COMPLIANCE', ObjectLockRetainUntilDate: until } as const;
}

class Multipart {
  readonly #target: UploadTarget;
  readonly #tags: { PartNumber: number; ETag: string }[] = [];
  #upload: Promise<string> | undefined;

  constructor(target: UploadTarget) {
    this.#target = target;
  }

  async send({ number, content }: Part): Promise<void> {
    const { client, bucket, key } = this.#target;
    this.#upload ??= this.#create();
    const uploadId = await this.#upload;
    const answer = await withRetries(
      `could not upload part ${number} of ${key}`,
      attempts(this.#target, content.length),
      (abortSignal) =>
        client.send(
          new UploadPartCommand({
            Bucket: bucket,
            Key: key,
            UploadId: uploadId,
            PartNumber: number,
            Body: content,
            ContentLength: content.length,
            ContentMD5: md5(content),
          }),
          { abortSignal },
        ),
    );
    this.#tags.push({ PartNumber: number, ETag: answer.ETag ?? '' });
  }

  /** Does nothing when no part was sent. */
  async complete(): Promise<void> {
    if (this.#upload === undefined) return;
    const { client, bucket, key } = this.#target;
    const uploadId = await this.#upload;
    const parts = this.#tags.toSorted((a, b) => a.PartNumber - b.PartNumber);
    await withRetries(`could not complete ${key}`, attempts(this.#target, 0), (abortSignal) =>
      client.send(
        new CompleteMultipartUploadCommand({
          Bucket: bucket,
          Key: key,
          UploadId: uploadId,
          MultipartUpload: { Parts: parts },
        }),
        { abortSignal },
      ),
    );
    await this.#lock();
  }

  /** Some (radosgw) forget between the first part and the last what was said about the lock. */
  async #lock(): Promise<void> {
    const { client, bucket, key, lockedUntil } = this.#target;
    if (lockedUntil === undefined) return;
    await withRetries(`could not lock ${key}`, attempts(this.#target, 0), (abortSignal) => {
      const command = new PutObjectRetentionCommand({
        Bucket: bucket,
        Key: key,
        Retention: { Mode: 'COMPLIANCE', RetainUntilDate: lockedUntil },
      });
      // Demanded for a lock, and by some in this form alone.
      sendMd5(command as unknown as Pick<S3Client, 'middlewareStack'>);
      return client.send(command, { abortSignal });
    });
  }

  /** Gives the parts back. Where the store does not answer, the next run's sweep does it. */
  async abort(): Promise<void> {
    const uploadId = await this.#upload?.catch(() => undefined);
    if (uploadId === undefined) return;
    const { client, bucket, key } = this.#target;
    try {
      await client.send(
        new AbortMultipartUploadCommand({ Bucket: bucket, Key: key, UploadId: uploadId }),
        { abortSignal: AbortSignal.timeout(15_000) },
      );
    } catch {
      // The failure that led here is the one to report.
    }
  }

  async #create(): Promise<string> {
    const { client, bucket, key, storageClass, lockedUntil, headers } = this.#target;
    const answer = await withRetries(
      `could not begin the upload of ${key}`,
      attempts(this.#target, 0),
      (abortSignal) =>
        client.send(
          new CreateMultipartUploadCommand({
            Bucket: bucket,
            Key: key,
            ...headers,
            ...(storageClass === undefined ? {} : { StorageClass: storageClass }),
            ...lockHeaders(lockedUntil),
          }),
          { abortSignal },
        ),
    );
    if (answer.UploadId === undefined) throw new TypeError('the store gave no upload id');
    return answer.UploadId;
  }
}

function attempts({ patience }: UploadTarget, bytes: number): Attempts {
  return {
    retryWaits: patience.retryWaits,
    timeoutSeconds: patience.idleSeconds + bytes / SLOWEST,
  };
}
