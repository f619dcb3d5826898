import type { z } from 'zod';
import { list, mapping, port } from '../../config/fields.ts';
import { command, environment, named, secretWish } from '../../config/fields-names.ts';
import { image } from '../../config/fields-network.ts';
import { build, health, metrics, resources, volumes } from '../services/container-section.ts';

const accessory = mapping(
  {
    image: image({
      description: 'Image to run.',
      examples: ['docker.io/library/mongo:7.0'],
    }).optional(),
    build: build.optional(),
    port: port({ description: 'Port that it listens on.', examples: [27017] }).optional(),
    args: command({
      description: "Replaces the image's arguments.",
      examples: [['--quiet']],
    }).optional(),
    env: environment({ description: 'Environment variables.' }).default({}),
    secrets: list(secretWish({ description: 'Name of a secret; `NAME?` if it may be missing.' }), {
      description: 'Secrets that it gets, as variables and as files.',
    }).default([]),
    volumes: volumes.default([]),
    resources: resources.optional(),
    health: health.optional(),
    metrics: metrics.optional(),
    dump: command({
      description: 'Writes a backup to standard output.',
      examples: [['mongodump', '--archive']],
    }).optional(),
    restore: command({
      description: 'Reads a backup from standard input.',
      examples: [['mongorestore', '--archive', '--drop']],
    }).optional(),
  },
  { description: 'Any other stateful container.' },
);

export const accessoriesSection = named(accessory, {
  description:
    'Other stateful containers, each with its own dump and restore. A service that uses one gets `<NAME>_HOST` and `<NAME>_PORT`.',
}).default({});

/** An accessory as written, units read; its health and limits are filled in by `rules/resolve-service.ts`. */
export type AccessoryInput = z.output<typeof accessory>;
