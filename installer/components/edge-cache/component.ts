import type { Contribution, Reaction } from '../../model/contribution.ts';
import type { Component, ComponentInput } from '../component.ts';
import { certificateFiles } from '../nginx/files.ts';
import { IN_CONTAINER, pairFile } from '../nginx/places.ts';
import { CACHE_PREFIX } from './folders.ts';
import { type CacheHost, cacheHosts } from './origins.ts';

const RELOAD: readonly Reaction[] = [{ kind: 'reload', service: 'nginx' }];

/** Hosts on which nginx keeps answers of a bucket or of another server. */
export const edgeCache: Component = {
  id: 'edge-cache',
  enabled: (config) => cacheHosts(config).length > 0,
  needs: (config) => ({ hosts: cacheHosts(config).map(({ host }) => host) }),
  contribute,
};

function contribute(input: ComponentInput): Contribution {
  const { config } = input;
  return {
    files: cacheHosts(config).flatMap((cache, index) => [
      {
        path: `nginx/hosts/${cache.host}.conf`,
        component: 'edge-cache',
        content: {
          template: 'nginx/cache-host.conf.ejs',
          data: templateData(cache, index, config.http.http2),
          format: 'nginx' as const,
        },
        onChange: RELOAD,
      },
      ...certificateFiles(input, cache),
    ]),
  };
}

function templateData({ host, ttl, origin }: CacheHost, index: number, http2: boolean) {
  return {
    host,
    http2: http2 ? 'on' : 'off',
    pair: `${IN_CONTAINER.certificates}/${pairFile(host)}`,
    zone: `edge_cache_${index}`,
    folder: `${IN_CONTAINER.bodies}/${CACHE_PREFIX}${host}`,
    ttl: `${ttl}s`,
    // What nobody asks for twice in that time makes room.
    inactive: `${Math.max(ttl, 3600)}s`,
    isTls: origin.base.startsWith('https:'),
    base: origin.base,
    prefix: origin.prefix,
    originHost: origin.host,
    isBucket: origin.isBucket,
  };
}
