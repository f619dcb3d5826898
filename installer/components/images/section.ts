import { z } from 'zod';
import { choice, mapping, versionNumber } from '../../config/fields.ts';

const SOURCES = ['auto', 'debian', 'registry'] as const;

/** Platform parts whose image may be chosen one by one. */
export const IMAGE_COMPONENTS = [
  'postgres',
  'redis',
  'nginx',
  'prometheus',
  'grafana',
  'node-exporter',
  'postgres-exporter',
  'redis-exporter',
  'nginx-exporter',
  'alertmanager',
  'node',
] as const;

export type ImageComponent = (typeof IMAGE_COMPONENTS)[number];

const override = mapping(
  {
    source: choice(SOURCES, { description: 'Source of this image.' }).optional(),
    version: versionNumber({ description: 'Version of this image.' }).optional(),
  },
  { description: 'This image alone.', examples: [{ source: 'registry', version: '12.1' }] },
).optional();

const overrides = Object.fromEntries(
  IMAGE_COMPONENTS.map((component) => [component, override]),
) as Record<ImageComponent, typeof override>;

export const imagesSection = mapping(
  {
    source: choice(SOURCES, {
      description:
        '`debian` builds from signed packages on this server, `registry` pulls the official images, `auto` takes Debian where it has the version.',
    }).prefault('auto'),
    registry: z
      .string({ error: 'a registry such as registry.example.com:5000' })
      .regex(/^[a-z0-9.-]+(:\d{1,5})?(\/[a-z0-9._/-]+)?$/, {
        error: 'a registry such as registry.example.com:5000',
      })
      .meta({
        description: 'Mirror to pull the official images from.',
        examples: ['registry.example.com:5000'],
      })
      .optional(),
    ...overrides,
  },
  { description: 'Where the images of the platform come from.' },
).prefault({});

export type Images = z.output<typeof imagesSection>;
