import type { PlatformImage } from './model/images.ts';

/**
 * The one place that names versions of platform images.
 *
 * The Debian road has no version of its own here: `images/packages.txt` names the packages, and Debian
 * decides what they are today. The registry road pulls what stands below. Digests are not written down:
 * a tag is resolved to its digest by the registry at the first apply and kept in the lock file, which
 * pins it from then on; `digest` is for whoever wants one that holds before the first apply too.
 *
 * No registry can be asked where this is written, so nothing was pulled. Names and tags were looked up on
 * 2026-11-28 in what others pin in public compose files, Dockerfiles and lock files; those of nginx 1.28.0 and
 * redis 7.2.10 mostly stand there with a variant behind them.
 */
export interface OfficialImage {
  /** With the registry's host. */
  readonly repository: string;
  /** Newest first; the first one that satisfies the wish is taken. */
  readonly releases: readonly OfficialRelease[];
}

export interface OfficialRelease {
  readonly version: string;
  /** `version` when absent. */
  readonly tag?: string;
  /** `sha256:…` */
  readonly digest?: string;
}

export const OFFICIAL_IMAGES: Readonly<Record<PlatformImage, OfficialImage>> = {
  postgres: {
    repository: 'docker.io/library/postgres',
    releases: [{ version: '17.9' }, { version: '16.13' }, { version: '15.17' }],
  },
  redis: {
    repository: 'docker.io/library/redis',
    releases: [{ version: '8.0.3' }, { version: '7.4.5' }, { version: '7.2.10' }],
  },
  nginx: { repository: 'docker.io/library/nginx', releases: [{ version: '1.28.0' }] },
  'nginx-waf': { repository: '', releases: [] },
  prometheus: {
    repository: 'docker.io/prom/prometheus',
    releases: [{ version: '2.53.5', tag: 'v2.53.5' }],
  },
  grafana: { repository: 'docker.io/grafana/grafana', releases: [{ version: '12.0.2' }] },
  'node-exporter': {
    repository: 'quay.io/prometheus/node-exporter',
    releases: [{ version: '1.9.1', tag: 'v1.9.1' }],
  },
  'postgres-exporter': {
    repository: 'quay.io/prometheuscommunity/postgres-exporter',
    releases: [{ version: '0.17.1', tag: 'v0.17.1' }],
  },
  'redis-exporter': {
    repository: 'docker.io/oliver006/redis_exporter',
    releases: [{ version: '1.74.0', tag: 'v1.74.0' }],
  },
  'nginx-exporter': {
    repository: 'docker.io/nginx/nginx-prometheus-exporter',
    releases: [{ version: '1.4.2' }],
  },
  node: {
    repository: 'docker.io/library/node',
    releases: [{ version: '22.17.0', tag: '22.17.0-bookworm-slim' }],
  },
};

/**
 * Images whose data or protocol ties the user to the major version that was asked for. Elsewhere a newer
 * version satisfies the wish: Redis 8 reads what 7 wrote, but a Postgres 17 does not start on 16's files.
 */
export const EXACT_MAJOR: ReadonlySet<PlatformImage> = new Set(['postgres']);

/** Versions that an older Debian still has, by image: where the wish is one of them, that Debian builds it. */
export const OLDER_DEBIAN: Readonly<
  Partial<Record<PlatformImage, readonly { readonly suite: string; readonly major: number }[]>>
> = { postgres: [{ suite: 'bookworm', major: 15 }] };

/** Images that Debian does not carry. The other way round, an image without releases is built from Debian only. */
export const NOT_IN_DEBIAN: ReadonlySet<PlatformImage> = new Set(['grafana']);
