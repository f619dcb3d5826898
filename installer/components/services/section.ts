import { z } from 'zod';
import { choice, flag, list, mapping, port, size, wholeNumber } from '../../config/fields.ts';
import {
  command,
  environment,
  filePath,
  name,
  named,
  nameKey,
  secretName,
  secretWish,
  sqlName,
} from '../../config/fields-names.ts';
import { cidr, edgePath, hostName, image } from '../../config/fields-network.ts';
import { build, health, metrics, replicas, resources, volumes } from './container-section.ts';

/**
 * What a service may say. No default is filled in here: a profile comes between, so that the defaults
 * named in the descriptions are applied by `rules/resolve-service.ts` after the merge.
 */

const route = mapping(
  {
    host: hostName({
      description: 'Host of the request.',
      examples: ['api.example.com'],
      defaultText: 'the value of `domain`',
    }).optional(),
    path: edgePath({
      description: 'Path prefix. `/api/` also takes `/api`; the longest match wins.',
      examples: ['/api/'],
    }).default('/'),
    strip: flag({ description: 'Take the prefix off before the service sees the path.' }).default(
      false,
    ),
    websocket: flag({ description: 'Let connections upgrade to WebSocket.' }).default(false),
    sticky: choice(['ip', 'cookie'], {
      description: 'Keep a client on the same replica, by address or by a cookie.',
    }).optional(),
    rateLimit: name({
      description: 'Name of a limit in `http.rateLimits`.',
      examples: ['login'],
    }).optional(),
    rawBody: flag({
      description: 'Pass the body on unbuffered and unchanged, for signed webhooks.',
    }).default(false),
    allowFrom: list(cidr({ description: 'An address or a network.' }), {
      description: 'Only these clients may come; empty means everyone.',
    }).default([]),
    basicAuth: secretName({
      description: 'Secret with lines `user:password` that the browser is asked for.',
      examples: ['ADMIN_LOGINS'],
    }).optional(),
    maxBody: size(
      { description: 'Largest request body; `http.clientMaxBodySize` otherwise.' },
      1,
    ).optional(),
  },
  { description: 'A host and a path prefix that lead to the service.' },
);

const use = z
  .string()
  .regex(/^(?:bucket:)?[a-z][a-z0-9]*(?:-[a-z0-9]+)*$/, {
    error: 'postgres, redis, the name of an accessory, or bucket:<name>',
  })
  .meta({ description: 'postgres, redis, the name of an accessory, or `bucket:<name>`.' });

const serviceShape = {
  image: image({
    description: 'Image to run, with a tag or, better, a digest.',
    examples: ['ghcr.io/acme/web:1.4.2'],
  }).optional(),
  build: build.optional(),
  port: port({
    description: 'Port that the service listens on. Leave it out for a worker.',
    examples: [3000],
  }).optional(),
  command: command({
    description: "Replaces the image's entry point.",
    examples: [['node', 'worker.js']],
  }).optional(),
  args: command({
    description: "Replaces the image's arguments.",
    examples: [['--port', '3000']],
  }).optional(),
  replicas: replicas.optional(),
  resources: resources.optional(),
  health: health.optional(),
  metrics: metrics.optional(),
  migrate: command({
    description: 'Run once with the new image before it takes traffic.',
    examples: ['npx prisma migrate deploy'],
  }).optional(),
  seed: mapping(
    {
      file: filePath({
        description: 'SQL file, run with psql as the owner of the database.',
        examples: ['./seed.sql'],
      }),
      once: z
        .literal(true, { error: 'true: a seed runs once' })
        .default(true)
        .meta({ description: 'A seed runs once; the database remembers it.' }),
    },
    { description: 'First data for the database.' },
  ).optional(),
  peers: z
    .union([
      z.literal('*', { error: '"*" or a list of services' }),
      list(nameKey, { description: 'Services to reach.' }),
    ])
    .meta({
      description:
        'Other services that it may reach; each gives a variable `<NAME>_URL`. `"*"` means all.',
    })
    .optional(),
  routes: list(route, {
    description:
      'What leads to the service from outside. The only service with a port gets `/` of the domain when nothing else is routed.',
  }).optional(),
  volumes: volumes.optional(),
  env: environment({
    description: 'Environment variables. Secrets go under `secrets`.',
  }).optional(),
  secrets: list(secretWish({ description: 'Name of a secret; `NAME?` if it may be missing.' }), {
    description: 'Secrets that it gets, as variables and as files.',
    examples: [['SESSION_KEY', 'SENTRY_DSN?']],
  }).optional(),
  uses: list(use, {
    description: 'What it connects to; each brings its variables, such as `DATABASE_URL`.',
    examples: [['postgres', 'redis']],
  }).optional(),
  database: sqlName({
    description: 'Its database of Postgres: one of `postgres.databases`, or one of its own name.',
    defaultText: 'the only one of `postgres.databases`, else one of its own name',
    examples: ['app'],
  }).optional(),
  dbPool: wholeNumber(1, 1000, {
    description: 'Database connections that one replica opens at most.',
    default: 10,
  }).optional(),
  scan: mapping(
    {
      onPull: flag({ description: 'Scan each image before it runs.' }).default(false),
      failOn: choice(['critical', 'high', 'medium'], {
        description: 'Severity that stops a deploy.',
      }).default('critical'),
    },
    { description: 'Vulnerability scan.' },
  ).optional(),
} as const;

export const profile = mapping(serviceShape, { description: 'Settings that services share.' });

export const service = mapping(
  {
    profile: name({ description: 'Profile to start from.', examples: ['backend'] }).optional(),
    ...serviceShape,
  },
  { description: 'A container of the product.' },
);

export const profilesSection = named(profile, {
  description:
    'Settings that services share by name: mappings merge, `secrets`, `uses` and `peers` add up, all else is replaced.',
  examples: [
    {
      backend: {
        replicas: {
          min: 2,
          max: 10,
          scaleUp: { cpu: 70, for: '2m', step: 1 },
          scaleDown: { cpu: 20, for: '5m', step: 1 },
          cooldown: '3m',
        },
        resources: { cpus: 0.5, memory: '192m' },
        secrets: ['JWT_SECRET'],
      },
    },
  ],
}).default({});

export const servicesSection = named(service, {
  description: 'The containers of the product.',
}).default({});

/** A service or profile as written, units read, no default filled in. */
export type ServiceInput = z.output<typeof service>;
export type ProfileInput = z.output<typeof profile>;
export type RouteInput = z.output<typeof route>;
