import type { ConfigFile } from '../sections.ts';
import type { ProfileInput, ServiceInput } from '../services/section.ts';
import { error, type Finding, type PathStep, warning } from './finding.ts';
import { didYouMean } from './nearest.ts';
import { resolveReplicas } from './resolve-service.ts';
import type { Declared, Rule } from './rule.ts';

/** Names that the platform's own containers answer to. */
const PLATFORM_NAMES = new Set([
  'alertmanager',
  'appliance',
  'grafana',
  'nginx',
  'nginx-exporter',
  'nginx-ipv6',
  'node-exporter',
  'postgres',
  'postgres-exporter',
  'postgres-wal',
  'prometheus',
  'redis',
  'redis-exporter',
]);

/** Names of services and accessories share the network: each exists once. */
export const namesAreFree: Rule = function* ({ file }) {
  for (const section of ['services', 'accessories'] as const) {
    for (const name of Object.keys(file[section])) {
      if (PLATFORM_NAMES.has(name)) {
        yield atKey(
          error(
            'reserved-name',
            [section, name],
            `${name} is a part of the platform: choose another name`,
          ),
        );
      } else if (name in {}) {
        // What asks a mapping for this name would find JavaScript's own.
        const message = `no table of names can hold ${name}: choose another name`;
        yield atKey(error('reserved-name', [section, name], message));
      }
    }
  }
  for (const name of Object.keys(file.accessories)) {
    if (Object.hasOwn(file.services, name)) {
      yield atKey(
        error('duplicate-name', ['accessories', name], `there is a service ${name} already`),
      );
    }
  }
};

/** What `uses` and `peers` tell a service stands in variables of its own; those of Postgres have a fixed name. */
export const variablesAreTold: Rule = function* ({ config }) {
  for (const { name, uses, peers } of Object.values(config.services)) {
    if (!uses.some(({ kind }) => kind === 'postgres')) continue;
    if (uses.some((use) => use.kind === 'accessory' && use.name === 'database')) {
      const message = `its DATABASE_HOST hides that of Postgres from services.${name}: choose another name`;
      yield atKey(error('hidden-variable', ['accessories', 'database'], message));
    }
    if (peers.includes('database')) {
      const message = `that of Postgres hides its DATABASE_URL from services.${name}: choose another name`;
      yield atKey(warning('hidden-variable', ['services', 'database'], message));
    }
  }
};

function atKey(finding: Finding): Finding {
  return { ...finding, at: 'key' };
}

/** Each service has what it takes to run, once its profile is merged in. */
export const servicesAreComplete: Rule = function* ({ file, merged, config }) {
  for (const [name, service] of Object.entries(merged)) {
    const path = ['services', name];
    if (service.image === undefined && service.build === undefined) {
      yield atKey(error('no-image', path, 'needs an image or a build'));
    }
    const written = file.services[name];
    if (written?.image !== undefined && written.build !== undefined) {
      yield atKey(
        error('image-and-build', [...path, 'build'], 'has an image as well: keep one of them'),
      );
    }
    if (
      service.metrics !== undefined &&
      service.metrics.port === undefined &&
      service.port === undefined
    ) {
      yield error(
        'metrics-without-port',
        [...path, 'metrics'],
        'needs a port, here or at the service',
      );
    }
    if (service.health?.path !== undefined && service.port === undefined) {
      yield error(
        'health-without-port',
        [...path, 'health'],
        'asks for a path, but the service has no port',
      );
    }
    if (service.health?.expect !== undefined && service.health.path === undefined) {
      yield error(
        'expect-without-path',
        [...path, 'health', 'expect'],
        'needs health.path: there is no body to look at',
      );
    }
    const uses = config.services[name]?.uses ?? [];
    if (service.seed !== undefined && !uses.some((use) => use.kind === 'postgres')) {
      yield error('seed-without-database', [...path, 'seed'], 'needs `uses: [postgres]`');
    }
    const wishes = new Set((service.secrets ?? []).map((wish) => wish.name));
    for (const variable of Object.keys(service.env ?? {})) {
      if (wishes.has(variable)) {
        const message = 'is a secret of the service too: keep one of them';
        yield atKey(error('env-and-secret', [...path, 'env', variable], message));
      }
    }
  }
};

/** Each accessory has what it takes to run. */
export const accessoriesAreComplete: Rule = function* ({ file }) {
  for (const [name, accessory] of Object.entries(file.accessories)) {
    const path = ['accessories', name];
    if (accessory.image === undefined && accessory.build === undefined) {
      yield atKey(error('no-image', path, 'needs an image or a build'));
    }
    if (accessory.image !== undefined && accessory.build !== undefined) {
      const message = 'has an image as well: keep one of them';
      yield atKey(error('image-and-build', [...path, 'build'], message));
    }
    const { metrics, port } = accessory;
    if (metrics !== undefined && metrics.port === undefined && port === undefined) {
      const message = 'needs a port, here or at the accessory';
      yield error('metrics-without-port', [...path, 'metrics'], message);
    }
    if (accessory.health?.path !== undefined && port === undefined) {
      const message = 'asks for a path, but the accessory has no port';
      yield error('health-without-port', [...path, 'health'], message);
    }
    if (accessory.health?.path !== undefined && accessory.health.command !== undefined) {
      const message = 'has no effect: health.command is asked in its place';
      yield warning('path-beside-command', [...path, 'health', 'path'], message);
    }
  }
};

/** Ranges of replicas go upwards. */
export const replicasAreOrdered: Rule = function* ({ file }) {
  for (const [path, entry] of servicesAndProfiles(file)) {
    if (typeof entry.replicas !== 'object') continue;
    const { min, max, scaleUp, scaleDown } = resolveReplicas(entry.replicas);
    if (min > max) {
      yield error(
        'replicas-order',
        [...path, 'replicas', 'max'],
        `is ${max}, less than min, which is ${min}`,
      );
    }
    if (scaleDown.cpu >= scaleUp.cpu) {
      const message = `scaleDown.cpu is ${scaleDown.cpu}, not less than scaleUp.cpu, which is ${scaleUp.cpu}: replicas would come and go`;
      yield error('scaling-order', [...path, 'replicas'], message);
    }
  }
};

const SCALING_KEYS = ['scaleUp', 'scaleDown', 'cooldown'] as const;

/** Whoever says how to scale leaves room between the fewest and the most replicas, here or in the services of a profile. */
export const scalingHasRoom: Rule = function* ({ file, config }) {
  for (const [path, { replicas }] of servicesAndProfiles(file)) {
    if (typeof replicas !== 'object') continue;
    const [section, name = ''] = path;
    const ranges = Object.entries(file.services).flatMap(([each, { profile }]) => {
      const isMeant = section === 'services' ? each === name : profile === name;
      const range = config.services[each]?.replicas;
      return isMeant && range !== undefined ? [range] : [];
    });
    if (ranges.length === 0 || ranges.some(({ min, max }) => min !== max)) continue;
    for (const key of SCALING_KEYS) {
      if (replicas[key] === undefined) continue;
      const message = 'has no effect: replicas.max is no more than min';
      yield warning('never-scales', [...path, 'replicas', key], message);
    }
  }
};

/** Profiles, peers and what a service uses are there. */
export const referencesExist: Rule = function* ({ file, merged, declared }) {
  for (const [name, service] of Object.entries(file.services)) {
    if (service.profile !== undefined && !declared.profiles.includes(service.profile)) {
      const message = `no profile ${service.profile}${didYouMean(service.profile, declared.profiles)}`;
      yield error('unknown-profile', ['services', name, 'profile'], message);
    }
  }
  for (const [path, entry] of servicesAndProfiles(file)) {
    for (const [index, use] of (entry.uses ?? []).entries()) {
      yield* knownUse(use, [...path, 'uses', index], declared);
    }
    for (const [index, peer] of (entry.peers === '*' ? [] : (entry.peers ?? [])).entries()) {
      yield* knownPeer(peer, [...path, 'peers', index], merged, declared);
    }
  }
};

function* servicesAndProfiles(
  file: ConfigFile,
): Generator<[readonly PathStep[], ServiceInput | ProfileInput]> {
  for (const [name, entry] of Object.entries(file.profiles)) yield [['profiles', name], entry];
  for (const [name, entry] of Object.entries(file.services)) yield [['services', name], entry];
}

function* knownUse(use: string, path: readonly PathStep[], declared: Declared): Generator<Finding> {
  if (use === 'postgres' || use === 'redis') return;
  if (use.startsWith('bucket:')) {
    const bucket = use.slice('bucket:'.length);
    if (declared.buckets.includes(bucket)) return;
    const message = `no bucket ${bucket} in storage.buckets${didYouMean(bucket, declared.buckets)}`;
    yield error('unknown-bucket', path, message);
  } else if (!declared.accessories.includes(use)) {
    const known = ['postgres', 'redis', ...declared.accessories];
    yield error('unknown-use', path, `no accessory ${use}${didYouMean(use, known)}`);
  }
}

function* knownPeer(
  peer: string,
  path: readonly PathStep[],
  merged: Readonly<Record<string, ServiceInput>>,
  declared: Declared,
): Generator<Finding> {
  if (!declared.services.includes(peer)) {
    yield error('unknown-peer', path, `no service ${peer}${didYouMean(peer, declared.services)}`);
    return;
  }
  const service = merged[peer];
  if (service !== undefined && service.port === undefined) {
    yield error('peer-without-port', path, `service ${peer} has no port to reach`);
  }
}

/** A database, and a pool of connections to it, belong to a service that uses one. */
export const poolsAreUsed: Rule = function* ({ file, config }) {
  for (const [name, service] of Object.entries(file.services)) {
    const uses = config.services[name]?.uses ?? [];
    if (uses.some((use) => use.kind === 'postgres')) continue;
    for (const key of ['database', 'dbPool'] as const) {
      if (service[key] === undefined) continue;
      const message = 'has no effect without `uses: [postgres]`';
      yield warning('pool-without-database', ['services', name, key], message);
    }
  }
};
