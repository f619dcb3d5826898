import { z } from 'zod';
import { flag, list, mapping, seconds } from '../../config/fields.ts';
import { hostName, urlBeforePath } from '../../config/fields-network.ts';

const phrase = 'bucket:<name> or a URL such as https://files.example.com, without $, ? or #';

const origin = z
  .union(
    [
      z.string().regex(/^bucket:[a-z][a-z0-9]*(-[a-z0-9]+)*$/, { error: phrase }),
      urlBeforePath({ description: 'URL of the origin.' }),
    ],
    { error: phrase },
  )
  .meta({ description: 'Where the files come from.', examples: ['bucket:docs'] });

const entry = mapping(
  {
    host: hostName({ description: 'Host of the cache.', examples: ['cdn.example.com'] }),
    origin,
    ttl: seconds({ description: 'How long an answer is kept.' }).prefault(3600),
    signedUrls: flag({ description: 'Only signed, expiring URLs are answered.' }).default(false),
    imageOptimisation: flag({ description: 'Scale and recompress images.' }).default(false),
  },
  { description: 'A host that caches a bucket or another server.' },
);

export const edgeCacheSection = list(entry, {
  description: 'Caches in front of buckets or other servers.',
}).default([]);

export type EdgeCacheEntry = z.output<typeof entry>;
