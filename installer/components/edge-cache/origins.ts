import type { Config } from '../sections.ts';
import type { EdgeCacheEntry } from './section.ts';

/** Where nginx fetches what it does not have. */
export interface Origin {
  /** `https://files.example.com`, without a slash at the end. */
  readonly base: string;
  /** Host and port as the origin wants to be called. */
  readonly host: string;
  /** Put before the path of a request; empty or with a leading slash and none at the end. */
  readonly prefix: string;
  /** Objects of a bucket: no query, no cookies, and nobody lists them. */
  readonly isBucket: boolean;
}

export interface CacheHost {
  readonly host: string;
  /** Seconds. */
  readonly ttl: number;
  readonly origin: Origin;
}

/** Whether nginx can read the origin: without a signature, an object must be readable by everybody. */
export function isServed(config: Config, entry: EdgeCacheEntry): boolean {
  // Until signed URLs are checked, a host that asks for them answers nobody.
  if (entry.signedUrls) return false;
  const bucket = bucketOf(config, entry);
  if (bucket === undefined) return true;
  return !bucket.private && config.storage.providers[bucket.provider]?.kind === 's3';
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
  const provider = bucket === undefined ? undefined : config.storage.providers[bucket.provider];
  if (bucket !== undefined && provider?.kind === 's3') {
    return { ...placeOf(`${provider.endpoint}/${bucket.name}`), isBucket: true };
  }
  return { ...placeOf(entry.origin), isBucket: false };
}

function placeOf(text: string): Omit<Origin, 'isBucket'> {
  const url = new URL(text);
  return { base: url.origin, host: url.host, prefix: url.pathname.replace(/\/+$/, '') };
}

function bucketOf(config: Config, { origin }: EdgeCacheEntry) {
  if (!origin.startsWith('bucket:')) return undefined;
  return config.storage.buckets[origin.slice('bucket:'.length)];
}
