import type { z } from 'zod';
import { choice, list, mapping, memory, versionNumber } from '../../config/fields.ts';
import { name } from '../../config/fields-names.ts';

export const redisSection = mapping(
  {
    version: versionNumber({
      description: 'Oldest version that will do.',
      defaultText: 'what the distribution brings: 7.0 on Debian 12, 8.0 on Debian 13',
      examples: ['7'],
    }).optional(),
    purpose: choice(['cache', 'queue'], {
      description:
        '`cache` drops old keys when memory is full, `queue` refuses writes and loses nothing.',
    }).prefault('queue'),
    maxMemory: memory({ description: 'Memory for data.' }).prefault('128m'),
    persistence: choice(['aof', 'rdb', 'none'], {
      description: 'What survives a crash: all but a second, all up to the last snapshot, nothing.',
    }).prefault('aof'),
    replicas: list(name({ description: 'A node.', examples: ['vps2'] }), {
      description: 'Nodes with a replica.',
    }).default([]),
    failover: choice(['manual', 'automatic'], { description: 'Who promotes a replica.' }).prefault(
      'manual',
    ),
  },
  { description: 'The Redis server. `uses: [redis]` alone brings it with these defaults.' },
);

export type Redis = z.output<typeof redisSection>;
