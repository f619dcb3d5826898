import { unservedReceivers } from '../components/alerting/receivers.ts';
import { isServed } from '../components/edge-cache/origins.ts';
import type { Config } from '../components/sections.ts';
import { acmeSettings } from '../components/tls/settings.ts';

/** A part of a config that was checked, and that this version does not act on. The plan shows it. */
export interface NotYetApplied {
  /** Path as in messages, such as `services.api.routes[0].rateLimit`. */
  readonly path: string;
  /** What will not happen, and what happens in its place where something does. */
  readonly issue: string;
}

interface Gap {
  readonly issue: string;
  /** Paths at which a config asks for it. */
  readonly asked: (config: Config) => readonly string[];
}

/** One line per gap. A feature that arrives takes its line away. */
const GAPS: readonly Gap[] = [
  {
    issue: 'size presets are not applied',
    asked: (config) => when(config.size !== undefined, 'size'),
  },
  {
    issue: 'more than one node is not supported: everything runs on this machine',
    asked: (config) => when(config.nodes.length > 1, 'nodes'),
  },
  {
    issue: 'images are not scanned',
    asked: (config) => eachService(config, ({ scan }) => when(scan !== undefined, 'scan')),
  },
  {
    issue: 'previews of a site are not made',
    asked: (config) =>
      Object.entries(config.sites).flatMap(([name, { preview }]) =>
        when(preview !== undefined, `sites.${name}.preview`),
      ),
  },
  {
    issue:
      'DNS is not written at this provider: the private CA of this server signs in the meantime',
    asked: (config) =>
      when(
        !['selfsigned', 'files'].includes(config.tls.issuer) &&
          config.tls.challenge === 'dns-01' &&
          acmeSettings(config) === undefined,
        'tls.dnsProvider.kind',
      ),
  },
  {
    issue: 'connections are not logged',
    asked: (config) => when(config.firewall.flowLogs, 'firewall.flowLogs'),
  },
  {
    issue: 'countries are not told apart',
    asked: (config) => when(config.http.geo !== undefined, 'http.geo'),
  },
  {
    issue: 'not served: signed URLs are checked with the key of a bucket, and this origin is none',
    asked: (config) =>
      config.edgeCache.flatMap((entry, index) =>
        when(!isServed(config, entry), `edgeCache[${index}]`),
      ),
  },
  {
    issue: 'images are passed as they are',
    asked: (config) =>
      config.edgeCache.flatMap(({ imageOptimisation }, index) =>
        when(imageOptimisation, `edgeCache[${index}].imageOptimisation`),
      ),
  },
  {
    issue: 'the agent asks services alone',
    asked: (config) =>
      Object.values(config.accessories).flatMap(({ name, health }) =>
        when(health.deepPath !== undefined, `accessories.${name}.health.deepPath`),
      ),
  },
  {
    issue: 'this part of Postgres is not set up',
    asked: (config) => {
      const { postgres } = config;
      if (postgres === undefined) return [];
      return [
        ...when(postgres.ssl === 'required', 'postgres.ssl'),
        ...when(postgres.audit, 'postgres.audit'),
        ...when(postgres.encryptedVolume, 'postgres.encryptedVolume'),
        ...when(postgres.storage !== undefined, 'postgres.storage'),
        ...when(postgres.replicas.length > 0, 'postgres.replicas'),
        ...when(postgres.readOnlyEndpoint, 'postgres.readOnlyEndpoint'),
        ...when(postgres.vacuum !== undefined, 'postgres.vacuum'),
      ];
    },
  },
  {
    issue: 'nothing makes that backup: no job of backups.jobs is a logical one of postgres',
    asked: ({ postgres, services, backups }) => {
      const events = postgres?.snapshotBefore ?? [];
      const migrates = Object.values(services).some(({ migrate }) => migrate !== undefined);
      const isAsked = events.some((event) => event !== 'migrate' || migrates);
      const makesOne = backups.jobs.some(
        ({ source, method }) => source.kind === 'postgres' && method !== 'physical',
      );
      return when(isAsked && !makesOne, 'postgres.snapshotBefore');
    },
  },
  {
    issue: 'Redis runs as one server',
    asked: (config) => [
      ...when((config.redis?.replicas.length ?? 0) > 0, 'redis.replicas'),
      ...when(config.redis?.failover === 'automatic', 'redis.failover'),
    ],
  },
  {
    issue: 'whoever makes upload URLs sets the limit: the store takes objects of any size',
    asked: (config) =>
      eachBucket(config, ({ maxObjectSize }) => when(maxObjectSize !== undefined, 'maxObjectSize')),
  },
  {
    issue: 'this job does not run',
    asked: (config) =>
      config.backups.jobs.flatMap(({ method }, index) => {
        const lacksPitr = method === 'physical' && config.postgres?.pitr?.enabled !== true;
        return when(lacksPitr, `backups.jobs[${index}]`);
      }),
  },
  {
    issue: 'nobody is told: `holdfast status` names the updates that wait',
    asked: (config) => when(config.updates.images.policy === 'notify', 'updates.images.policy'),
  },
  {
    issue: 'the window is not announced',
    asked: ({ updates: { window } }) => [
      ...when(window?.announce !== undefined, 'updates.window.announce'),
      ...when(window?.urgentAnnounce !== undefined, 'updates.window.urgentAnnounce'),
    ],
  },
  {
    issue: 'the server is not rebooted by itself',
    asked: (config) => when(config.updates.os.reboot, 'updates.os.reboot'),
  },
  {
    issue: 'the age of known holes is not watched',
    asked: (config) =>
      when(config.updates.images.patchWithin !== undefined, 'updates.images.patchWithin'),
  },
  {
    issue: 'nothing can be pushed',
    asked: (config) =>
      when(config.monitoring.customMetrics !== undefined, 'monitoring.customMetrics'),
  },
  {
    issue: 'told of deploys only: without Prometheus there are no alerts',
    asked: (config) => unservedReceivers(config).map((name) => `alerting.receivers.${name}`),
  },
  {
    issue: 'logs stay with the containers',
    asked: (config) => [
      ...when(config.logs.streams.length > 0, 'logs.streams'),
      ...when(config.logs.anonymise.length > 0, 'logs.anonymise'),
    ],
  },
];

/** Everything in the config that is accepted and not yet applied, in the order of the table. */
export function notYetApplied(config: Config): readonly NotYetApplied[] {
  return GAPS.flatMap(({ issue, asked }) => asked(config).map((path) => ({ path, issue })));
}

function when(asked: boolean, path: string): readonly string[] {
  return asked ? [path] : [];
}

function eachBucket(
  config: Config,
  asked: (bucket: Config['storage']['buckets'][string]) => readonly string[],
): readonly string[] {
  return Object.entries(config.storage.buckets).flatMap(([name, bucket]) =>
    asked(bucket).map((path) => `storage.buckets.${name}.${path}`),
  );
}

type ConfiguredService = Config['services'][string];

function eachService(
  config: Config,
  asked: (service: ConfiguredService) => readonly string[],
): readonly string[] {
  return Object.values(config.services).flatMap((service) =>
    asked(service).map((path) => `services.${service.name}.${path}`),
  );
}
