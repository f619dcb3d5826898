import type { Config } from '../sections.ts';
import type { Provider } from '../storage/section.ts';
import type { EdgeCacheEntry } from './section.ts';

/** Where nginx fetches what it does not have. */
export type Origin = OpenOrigin | SignedOrigin;

/** Readable by everybody. */
export interface OpenOrigin extends Place {
  readonly kind: 'url' | 'open-bucket';
}

/** A bucket that answers only whoever signs with its key. */
export interface SignedOrigin {
  readonly kind: 'signed-bucket';
  readonly provider: Exclude<Provider, { kind: 'directory' }>;
  /** Its name at the provider. */
  readonly bucket: string;
  /** Visitors sign too. */
  readonly signedUrls: boolean;
}

export interface Place {
  /** `https://files.example.com`, without a slash at the end. */
  readonly base: string;
  /** Host and port as the origin wants to be called. */
  readonly host: string;
  /** Put before the path of a request; empty or with a leading slash and none at the end. */
  readonly prefix: string;
}

export interface CacheHost {
  readonly host: string;
  /** Seconds. */
  readonly ttl: number;
  readonly origin: Origin;
}

/** Whether the host has an answer. Signed URLs of an origin whose key nobody knows could not be told from others. */
export function isServed(config: Config, entry: EdgeCacheEntry): boolean {
  return !entry.signedUrls || bucketOf(config, entry) !== undefined;
}

/** The caches that nginx serves. */
export function cacheHosts(config: Config): CacheHost[] {
  return config.edgeCache.flatMap((entry) =>
    isServed(config, entry)
      ? [{ host: entry.host, ttl: entry.ttl, origin: originOf(config, entry) }]
      : [],
  );
}

function originOf(config: Config, entry: EdgeCacheEntry): Origin {
  const bucket = bucketOf(config, entry);
  if (bucket === undefined) return { kind: 'url', ...placeOf(entry.origin) };
  const provider = config.storage.providers[bucket.provider];
  // The rules refuse a bucket in a directory or at nobody's.
  if (provider === undefined || provider.kind === 'directory') throw new Error('a bucket nowhere');
  const { signedUrls } = entry;
  // R2's S3 service answers nobody without a signature, whatever a bucket is.
  return bucket.private || signedUrls || provider.kind === 'r2'
    ? { kind: 'signed-bucket', provider, bucket: bucket.name, signedUrls }
    : { kind: 'open-bucket', ...placeOf(`${provider.endpoint}/${bucket.name}`) };
}

/** @throws TypeError when the text is no URL */
export function placeOf(text: string): Place {
  const url = new URL(text);
  return { base: url.origin, host: url.host, prefix: url.pathname.replace(/\/+$/, '') };
}

function bucketOf(config: Config, { origin }: EdgeCacheEntry) {
  if (!origin.startsWith('bucket:')) return undefined;
  return config.storage.buckets[origin.slice('bucket:'.length)];
}
