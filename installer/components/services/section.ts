import { z } from 'zod';
import {
  absolutePath,
  choice,
  cidr,
  command,
  decimal,
  duration,
  environment,
  filePath,
  flag,
  hostName,
  image,
  list,
  mapping,
  name,
  named,
  nameKey,
  port,
  secretName,
  secretWish,
  size,
  text,
  urlPath,
  wholeNumber,
} from '../../config/fields.ts';

/**
 * What a service may say. No default is filled in here: a profile comes between, so that the defaults
 * named in the descriptions are applied by `rules/resolve-service.ts` after the merge.
 */

export const MAX_REPLICAS = 50;

function scalingStep(percent: number, steady: string, direction: string) {
  return mapping(
    {
      cpu: wholeNumber(1, 100, {
        description: `CPU use in percent of the container's limit (of one core without a limit) at which to scale ${direction}.`,
        default: percent,
      }).optional(),
      for: duration({
        description: 'How long the CPU use has to stay there.',
        default: steady,
      }).optional(),
      step: wholeNumber(1, 10, {
        description: 'How many replicas to change at once.',
        default: 1,
      }).optional(),
    },
    { description: `When to scale ${direction}.` },
  );
}

export const replicas = z
  .union([
    wholeNumber(1, MAX_REPLICAS, { description: 'A fixed number of replicas.' }),
    mapping(
      {
        min: wholeNumber(1, MAX_REPLICAS, {
          description: 'Replicas that always run.',
          default: 1,
        }).optional(),
        max: wholeNumber(1, MAX_REPLICAS, {
          description: 'Replicas at most.',
          defaultText: 'the same as `min`',
        }).optional(),
        scaleUp: scalingStep(70, '2m', 'up').optional(),
        scaleDown: scalingStep(20, '10m', 'down').optional(),
        cooldown: duration({
          description: 'Pause after a change before the next one.',
          default: '3m',
        }).optional(),
      },
      { description: 'A range that the agent keeps to by CPU use.' },
    ),
  ])
  .meta({ description: 'How many containers run: a number, or a range.', default: 1 });

export const resources = mapping(
  {
    cpus: decimal(0.01, 128, {
      description: 'CPU cores at most. Without it: all of the machine.',
      examples: [0.5],
    }).optional(),
    memory: size({
      description: 'Memory limit of one replica.',
      default: '256m',
      examples: ['512m'],
    }).optional(),
  },
  { description: 'Limits of each replica.' },
);

export const health = mapping(
  {
    path: urlPath({
      description:
        'Asked over HTTP on the port, from outside the container; any status from 200 to 399 is healthy.',
      examples: ['/health'],
    }).optional(),
    command: command({
      description: 'Run inside the container instead; exit code 0 is healthy.',
      examples: [['node', 'healthcheck.js']],
    }).optional(),
    deepPath: urlPath({
      description:
        'A slower path that also checks dependencies; it raises alerts, it never stops traffic.',
      examples: ['/health/db'],
    }).optional(),
    expect: text({
      description: 'Text that the body of `path` has to contain.',
      examples: ['"status":"ok"'],
    }).optional(),
    interval: duration({ description: 'Time between two checks.', default: '10s' }).optional(),
    timeout: duration({ description: 'When a check counts as failed.', default: '5s' }).optional(),
    healthy: wholeNumber(1, 20, {
      description: 'Good checks in a row before traffic comes.',
      default: 1,
    }).optional(),
    unhealthy: wholeNumber(1, 20, {
      description: 'Failed checks in a row before traffic goes.',
      default: 3,
    }).optional(),
  },
  {
    description:
      'How to know that a replica works. Without `path` and `command`, an open port is enough.',
  },
);

const route = mapping(
  {
    host: hostName({
      description: 'Host of the request.',
      examples: ['api.example.com'],
      defaultText: 'the value of `domain`',
    }).optional(),
    path: urlPath({
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
    maxBody: size({
      description: 'Largest request body; `http.clientMaxBodySize` otherwise.',
    }).optional(),
  },
  { description: 'A host and a path prefix that lead to the service.' },
);

const volume = mapping(
  {
    name: name({ description: 'Name of the volume.', examples: ['uploads'] }),
    mount: absolutePath({
      description: 'Where it stands in the container.',
      examples: ['/app/uploads'],
    }),
    backup: flag({
      description: 'Back it up as an archive; daily unless a job in `backups.jobs` names it.',
    }).default(false),
  },
  { description: 'Files that outlive the container.' },
);

export const volumes = list(volume, { description: 'Files that outlive the containers.' });

export const metrics = mapping(
  {
    path: urlPath({ description: 'Path with the metrics.' }).default('/metrics'),
    port: port({
      description: 'Port of the metrics, if not the port of the service.',
      examples: [9100],
    }).optional(),
  },
  { description: 'Where Prometheus finds metrics of the service.' },
);

const build = mapping(
  {
    context: filePath({ description: 'Folder with the sources.', examples: ['./api'] }),
    dockerfile: filePath({ description: 'Dockerfile within the context.' }).default('Dockerfile'),
    target: name({ description: 'Stage of the Dockerfile.', examples: ['runtime'] }).optional(),
    args: environment({
      description: 'Build arguments. Never secrets: the image keeps them.',
    }).default({}),
  },
  { description: 'Build the image on the server.' },
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
          scaleDown: { cpu: 20, for: '10m', step: 1 },
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
export type VolumeSpec = z.output<typeof volume>;
export type BuildSpec = z.output<typeof build>;
