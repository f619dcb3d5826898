import { z } from 'zod';
import { choice, duration, flag, list, mapping } from '../../config/fields.ts';
import { name } from '../../config/fields-names.ts';

const stream = mapping(
  {
    name: name({ description: 'Name of the stream.', examples: ['errors'] }),
    match: mapping(
      {
        service: z
          .string({ error: 'the name of a service, or "*"' })
          .regex(/^(?:\*|[a-z][a-z0-9]*(?:-[a-z0-9]+)*)$/, {
            error: 'the name of a service, or "*"',
          })
          .meta({
            description: 'A service, a platform part such as nginx, or `*`.',
            examples: ['web'],
          })
          .optional(),
        level: choice(['debug', 'info', 'warn', 'error', 'fatal'], {
          description: 'This level and worse.',
        }).optional(),
        channel: name({
          description: 'Value of the field `channel`.',
          examples: ['audit'],
        }).optional(),
      },
      { description: 'Which lines.' },
    ).prefault({}),
    keep: duration({ description: 'How long they are kept.' }).prefault('30d'),
    archive: flag({ description: 'Also store them with the backups.' }).default(false),
  },
  { description: 'Lines that are kept together.' },
);

export const logsSection = mapping(
  {
    format: choice(['json'], { description: 'Format of our own logs.' }).prefault('json'),
    anonymise: list(choice(['ip', 'email'], { description: 'A kind of data.' }), {
      description: 'What is made unreadable before it is stored.',
    }).default([]),
    streams: list(stream, { description: 'What is kept how long.' }).default([]),
  },
  { description: 'Logs.' },
).prefault({});

export type Logs = z.output<typeof logsSection>;
