import { z } from 'zod';
import {
  decimal,
  duration,
  flag,
  list,
  mapping,
  memory,
  port,
  text,
  wholeNumber,
} from '../../config/fields.ts';
import { absolutePath, command, environment, filePath, name } from '../../config/fields-names.ts';
import { edgePath, urlPath } from '../../config/fields-network.ts';

/** What services say about their containers, and accessories too. The defaults are filled in after the profiles are merged. */

/**
 * A network has addresses for 61 containers (`render/subnets.ts`), and a release starts a second set beside the
 * first: two sets of 28, and five others, such as Postgres, Redis, Prometheus and two accessories.
 */
const MAX_REPLICAS = 28;

/** Seconds. The use is looked at once a second at most, and each third of the time needs a look, also on a busy machine. */
const LEAST_STEADY = 10;

function scalingStep(percent: number, steady: string, direction: string) {
  return mapping(
    {
      cpu: wholeNumber(1, 100, {
        description: `CPU use in percent of the container's limit (of one core without a limit) at which to scale ${direction}.`,
        default: percent,
      }).optional(),
      for: duration(
        { description: 'How long the CPU use has to stay there.', default: steady },
        LEAST_STEADY,
      ).optional(),
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
        scaleDown: scalingStep(20, '5m', 'down').optional(),
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
      description:
        'CPU cores at most, no more than the machine has. Without it: all of the machine.',
      examples: [0.5],
    }).optional(),
    memory: memory({
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
    interval: duration({ description: 'Time between two checks.', default: '10s' }, 1).optional(),
    timeout: duration(
      { description: 'When a check counts as failed.', default: '5s' },
      1,
    ).optional(),
    healthy: wholeNumber(1, 20, {
      description: 'Good checks in a row before traffic comes.',
      default: 2,
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

const volumeBackup = z
  .union([
    flag({ description: 'Whether to back it up.' }),
    mapping(
      {
        pause: flag({
          description:
            'Pause the containers of the service while the files are read: they answer nobody.',
          default: false,
        }).optional(),
        pauseLimit: duration(
          {
            description:
              'How long the pause may last: then they are woken, and the backup fails. A slow store counts too.',
            default: '60s',
          },
          1,
        ).optional(),
        before: command({
          description: 'Run in each of its containers first: flushes, or stops writing.',
          examples: [['app', 'freeze']],
        }).optional(),
        after: command({
          description:
            'Run in each of them afterwards, also when the backup failed or was killed. It has to bear being run twice.',
          examples: [['app', 'thaw']],
        }).optional(),
      },
      { description: 'Back it up, and hold its service still meanwhile.' },
    ),
  ])
  .meta({
    description:
      'Back it up as an archive; daily unless a job in `backups.jobs` names it. A mapping holds the service still while its files are read.',
    examples: [
      { pause: true, pauseLimit: '2m', before: ['app', 'freeze'], after: ['app', 'thaw'] },
    ],
  });

const volume = mapping(
  {
    name: name({ description: 'Name of the volume.', examples: ['uploads'] }),
    mount: absolutePath({
      description: 'Where it stands in the container.',
      examples: ['/app/uploads'],
    }),
    backup: volumeBackup.default(false),
  },
  { description: 'Files that outlive the container.' },
);

export const volumes = list(volume, { description: 'Files that outlive the containers.' });

export const metrics = mapping(
  {
    path: edgePath({ description: 'Path with the metrics.' }).default('/metrics'),
    port: port({
      description: 'Port of the metrics, if not the port of the service.',
      examples: [9100],
    }).optional(),
  },
  { description: 'Where Prometheus finds metrics of the service.' },
);

export type VolumeSpec = z.output<typeof volume>;

export const build = mapping(
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

export type BuildSpec = z.output<typeof build>;
