import type { PlatformImage } from './images.ts';

/** Decisions made once and kept: a config that does not change renders the same for ever. */
export interface LockFile {
  readonly version: 1;
  readonly images: Readonly<Partial<Record<PlatformImage, LockedImage>>>;
  /** Optional images that could not be had; asked for again by `update` only, so that a plan stays quick. */
  readonly unavailable?: Readonly<
    Partial<Record<PlatformImage, { readonly reason: string; readonly wish: string }>>
  >;
  /** By service name. */
  readonly services: Readonly<Record<string, LockedImage>>;
  /** CIDR by network name. */
  readonly subnets: Readonly<Record<string, string>>;
  /** Replicas by service, where `holdfast scale` moved them within the range of the config. */
  readonly scales?: Readonly<Record<string, number>>;
  /** Volume that Postgres runs on since a restore to a point in time; the first one when absent. */
  readonly postgresVolume?: string;
  /** Major version of the data on that volume, while the config has no Postgres. */
  readonly postgresMajor?: string;
  /** Networks of Cloudflare's proxies as last asked for; those of the program where absent. */
  readonly cloudflare?: readonly string[];
}

export interface LockedImage {
  readonly reference: string;
  readonly version: string;
  readonly source: 'debian' | 'registry' | 'build';
  /** Image id or registry digest, `sha256:…`. */
  readonly digest?: string;
  /** What was asked for when this was decided; a different wish decides anew. */
  readonly wish: string;
  /** Of a service: set by `holdfast deploy` or `rollback`, and kept until the config's image changes. */
  readonly pinned?: true;
  /** Of a pinned service: `rollback` brought it back, and it has done what it had to before it served. */
  readonly rolledBack?: true;
  /** Of a service: releases that served before, newest first; `holdfast rollback` goes to the first not withdrawn. */
  readonly previous?: readonly PreviousRelease[];
}

export interface PreviousRelease
  extends Pick<LockedImage, 'reference' | 'version' | 'source' | 'digest'> {
  /** A rollback took it out of service: the next one does not bring it back by itself. */
  readonly withdrawn?: true;
}

export const EMPTY_LOCK: LockFile = { version: 1, images: {}, services: {}, subnets: {} };

/** The file's text: keys sorted, so that the same decisions are the same bytes. */
export function lockFileText(lock: LockFile): string {
  const sorted = JSON.stringify(
    lock,
    (_key, value: unknown) =>
      value !== null && typeof value === 'object' && !Array.isArray(value)
        ? Object.fromEntries(Object.entries(value).sort(([a], [b]) => (a < b ? -1 : 1)))
        : value,
    2,
  );
  return `${sorted}\n`;
}
