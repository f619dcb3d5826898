import type { z } from 'zod';
import { duration, flag, list, mapping } from '../../config/fields.ts';
import { secretName } from '../../config/fields-names.ts';

const heartbeat = mapping(
  {
    urlSecret: secretName({ description: 'Secret with the URL.', examples: ['HEARTBEAT_URL'] }),
    every: duration({ description: 'How often.' }).prefault('1m'),
  },
  { description: 'A sign of life to somebody outside, who notices when it stops.' },
);

export const agentSection = mapping(
  {
    heartbeat: list(heartbeat, { description: 'Signs of life.' }).default([]),
    auditLog: flag({ description: 'Write a line for every change.' }).default(true),
    metricsEvery: duration({ description: 'How often the agent writes its metrics.' }).prefault(
      '15s',
    ),
  },
  { description: 'The resident daemon.' },
).prefault({});

export type Agent = z.output<typeof agentSection>;
