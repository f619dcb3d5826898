import type { Contribution, Reaction } from '../../model/contribution.ts';
import type { Component, ComponentInput } from '../component.ts';
import { corsOf } from '../nginx/cors.ts';
import { certificateFiles } from '../nginx/files.ts';
import { refusedOnEveryHost } from '../nginx/hosts.ts';
import { IN_CONTAINER, pairFile } from '../nginx/places.ts';
import { doorsOf } from '../nginx/relay.ts';
import { bucketFiles, bucketSecrets } from './buckets.ts';
import { CACHE_PREFIX } from './folders.ts';
import { type CacheHost, cacheHosts, type Origin } from './origins.ts';

const RELOAD: readonly Reaction[] = [{ kind: 'reload', service: 'nginx' }];

/** Hosts on which nginx keeps answers of a bucket or of another server. */
export const edgeCache: Component = {
  id: 'edge-cache',
  enabled: (config) => cacheHosts(config).length > 0,
  needs: (config) => ({
    hosts: cacheHosts(config).map(({ host }) => ({ host, usedBy: 'edgeCache' })),
    secrets: bucketSecrets(config),
  }),
  contribute,
};

function contribute(input: ComponentInput): Contribution {
  const { config } = input;
  const { doors } = doorsOf(input);
  const refused = refusedOnEveryHost(config);
  return {
    files: [
      ...cacheHosts(config).flatMap((cache, index) => [
        {
          path: `nginx/hosts/${cache.host}.conf`,
          component: 'edge-cache',
          content: {
            template: 'nginx/cache-host.conf.ejs',
            data: {
              ...templateData(cache, index, config.http.http2),
              doors,
              challenges: IN_CONTAINER.challenges,
              cors: corsOf(config.http) !== undefined,
              refused,
            },
            format: 'nginx' as const,
          },
          onChange: RELOAD,
        },
        ...certificateFiles(input, cache),
      ]),
      ...bucketFiles(input, RELOAD),
    ],
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
    ...originData(origin),
  };
}

/** Of a bucket that is signed for, Lua names the place: an address may be made of a secret. */
function originData(origin: Origin) {
  if (origin.kind === 'signed-bucket') {
    const isTls = origin.provider.endpoint?.startsWith('http:') !== true;
    return { isSigned: true, isBucket: true, isTls };
  }
  const { base, host, prefix } = origin;
  return {
    isSigned: false,
    isBucket: origin.kind === 'open-bucket',
    isTls: base.startsWith('https:'),
    base,
    prefix,
    originHost: host,
  };
}
