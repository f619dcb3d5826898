import type { z } from 'zod';
import { duration, mapping } from '../../config/fields.ts';

export const objectivesSection = mapping(
  {
    rto: duration({
      description: 'Longest time to be back after a loss.',
      examples: ['1h'],
    }).optional(),
    rpo: duration({
      description: 'Most data that may be lost, as time.',
      examples: ['24h'],
    }).optional(),
  },
  { description: 'What recovery has to achieve; `status` compares it with what was measured.' },
).prefault({});

export type Objectives = z.output<typeof objectivesSection>;
