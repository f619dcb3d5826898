import { Readable } from 'node:stream';
import {
  AbortMultipartUploadCommand,
  DeleteObjectCommand,
  HeadObjectCommand,
  ListMultipartUploadsCommand,
  type ListMultipartUploadsCommandOutput,
  ListObjectsV2Command,
  type ListObjectsV2CommandOutput,
  ListObjectVersionsCommand,
  type S3Client,
  type StorageClass,
} from '@aws-sdk/client-s3';
import { AppError } from '../../errors.ts';
import {
  PATIENCE,
  type Patience,
  type S3Credentials,
  type S3Settings,
  s3Client,
} from './s3-client.ts';
import { download } from './s3-download.ts';
import { isMissingObject } from './s3-errors.ts';
import { putObject, type UploadTarget, upload } from './s3-upload.ts';
import type { ByteRange, Store, StoredFile } from './store.ts';
import { withRetries } from './with-retries.ts';

/** A bucket of S3, R2 or anything that speaks their protocol. */
export class S3Store implements Store {
  readonly description: string;
  readonly #client: S3Client;
  /** Removes; the other one may have no right to. */
  readonly #deleting: S3Client;
  readonly #bucket: string;
  readonly #storageClass: StorageClass | undefined;
  readonly #patience: Patience;

  /** @param deleting the key that removes, where it is another one */
  constructor(
    settings: S3Settings,
    credentials: S3Credentials,
    patience: Patience = PATIENCE,
    deleting?: S3Credentials,
  ) {
    // Not the endpoint: that of R2 is made of a secret.
    this.description = `bucket ${settings.bucket} of ${settings.name}`;
    this.#client = s3Client(settings, credentials, patience);
    this.#deleting = deleting === undefined ? this.#client : s3Client(settings, deleting, patience);
    this.#bucket = settings.bucket;
    this.#storageClass = settings.storageClass as StorageClass | undefined;
    this.#patience = patience;
  }

  async put(
    key: string,
    body: AsyncIterable<Uint8Array>,
    expectedBytes: number,
    lockedUntil?: Date,
  ): Promise<void> {
    const storageClass = this.#storageClass;
    const target = {
      ...this.#target(key, lockedUntil),
      ...(storageClass === undefined ? {} : { storageClass }),
    };
    await upload(target, body, expectedBytes);
  }

  async putSmall(key: string, content: Uint8Array, lockedUntil?: Date): Promise<void> {
    await putObject(this.#target(key, lockedUntil), content);
  }

  async get(key: string, range?: ByteRange): Promise<Readable> {
    if (range !== undefined && range.from >= range.to) return Readable.from([]);
    return Readable.from(download(this.#target(key), range), {
      objectMode: false,
      highWaterMark: 64 * 1024,
    });
  }

  async head(key: string): Promise<StoredFile | undefined> {
    return await this.#request(`could not look at ${key}`, async (abortSignal) => {
      try {
        const found = await this.#client.send(
          new HeadObjectCommand({ Bucket: this.#bucket, Key: key }),
          { abortSignal },
        );
        return { key, size: found.ContentLength ?? 0, storedAt: found.LastModified ?? new Date(0) };
      } catch (error) {
        if (isMissingObject(error)) return undefined;
        throw error;
      }
    });
  }

  async *list(prefix: string): AsyncGenerator<StoredFile> {
    let token: string | undefined;
    do {
      const page: ListObjectsV2CommandOutput = await this.#request(
        `could not list ${prefix}`,
        (abortSignal) =>
          this.#client.send(
            new ListObjectsV2Command({
              Bucket: this.#bucket,
              Prefix: prefix,
              ...(token === undefined ? {} : { ContinuationToken: token }),
            }),
            { abortSignal },
          ),
      );
      for (const { Key, Size, LastModified } of page.Contents ?? []) {
        if (Key === undefined) continue;
        yield { key: Key, size: Size ?? 0, storedAt: LastModified ?? new Date(0) };
      }
      if (page.IsTruncated === true && !page.NextContinuationToken) throw shortListing(prefix);
      token = page.IsTruncated === true ? page.NextContinuationToken : undefined;
    } while (token !== undefined);
  }

  async delete(keys: readonly string[], everyVersion = false): Promise<void> {
    // One by one: a batch needs a checksum header that not every store takes.
    for (const key of keys) {
      const versions = everyVersion ? await this.#versions(key) : [undefined];
      for (const VersionId of versions) {
        await this.#request(`could not delete ${key}`, (abortSignal) =>
          this.#deleting.send(
            new DeleteObjectCommand({ Bucket: this.#bucket, Key: key, VersionId }),
            { abortSignal },
          ),
        );
      }
    }
  }

  /** Ids of all that was ever stored under a key, and of the marks that hide it; at most a page of them. */
  async #versions(key: string): Promise<string[]> {
    const { Versions = [], DeleteMarkers = [] } = await this.#request(
      `could not look at the versions of ${key}`,
      (abortSignal) =>
        this.#deleting.send(new ListObjectVersionsCommand({ Bucket: this.#bucket, Prefix: key }), {
          abortSignal,
        }),
    );
    return [...Versions, ...DeleteMarkers].flatMap(({ Key, VersionId }) =>
      Key === key && VersionId !== undefined ? [VersionId] : [],
    );
  }

  async abortUploads(
    prefix: string,
    isStale: (upload: { readonly key: string; readonly startedAt: Date }) => boolean,
  ): Promise<number> {
    let ended = 0;
    for await (const { key, id, startedAt } of this.#uploads(prefix)) {
      if (!isStale({ key, startedAt })) continue;
      await this.#request(`could not end the old upload of ${key}`, async (abortSignal) => {
        try {
          await this.#deleting.send(
            new AbortMultipartUploadCommand({ Bucket: this.#bucket, Key: key, UploadId: id }),
            { abortSignal },
          );
        } catch (error) {
          if (!isGone(error)) throw error;
        }
      });
      ended += 1;
    }
    return ended;
  }

  close(): void {
    this.#client.destroy();
    this.#deleting.destroy();
  }

  async *#uploads(prefix: string): AsyncGenerator<{ key: string; id: string; startedAt: Date }> {
    let marker: { KeyMarker?: string; UploadIdMarker?: string } | undefined = {};
    while (marker !== undefined) {
      const from: { KeyMarker?: string; UploadIdMarker?: string } = marker;
      const page: ListMultipartUploadsCommandOutput = await this.#request(
        `could not list the uploads below ${prefix}`,
        (abortSignal) =>
          this.#client.send(
            new ListMultipartUploadsCommand({ Bucket: this.#bucket, Prefix: prefix, ...from }),
            { abortSignal },
          ),
      );
      for (const { Key, UploadId, Initiated } of page.Uploads ?? []) {
        if (Key === undefined || UploadId === undefined || !Key.startsWith(prefix)) continue;
        yield { key: Key, id: UploadId, startedAt: Initiated ?? new Date(0) };
      }
      marker =
        page.IsTruncated === true && page.NextKeyMarker
          ? {
              KeyMarker: page.NextKeyMarker,
              ...(page.NextUploadIdMarker ? { UploadIdMarker: page.NextUploadIdMarker } : {}),
            }
          : undefined;
    }
  }

  #target(key: string, lockedUntil?: Date): UploadTarget {
    const target = { client: this.#client, bucket: this.#bucket, key, patience: this.#patience };
    return lockedUntil === undefined ? target : { ...target, lockedUntil };
  }

  async #request<T>(what: string, send: (signal: AbortSignal) => Promise<T>): Promise<T> {
    const { retryWaits, idleSeconds } = this.#patience;
    return await withRetries(
      `${what} in ${this.description}`,
      { retryWaits, timeoutSeconds: idleSeconds },
      send,
    );
  }
}

function isGone(error: unknown): boolean {
  return (error as { name?: string }).name === 'NoSuchUpload';
}

function shortListing(prefix: string): AppError {
  return new AppError({
    code: 'store/short-listing',
    what: `the store's listing of ${prefix} broke off`,
    hint: 'try again: `holdfast backup list`',
  });
}
