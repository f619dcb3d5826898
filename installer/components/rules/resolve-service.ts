import type { AccessoryInput } from '../accessories/section.ts';
import type { ProfileInput, RouteInput, ServiceInput } from '../services/section.ts';
import type {
  Accessory,
  Health,
  Metrics,
  Replicas,
  Resources,
  Route,
  ScalingStep,
  Service,
  Use,
} from './resolved.ts';

/** The defaults that the descriptions in `services/section.ts` name. Seconds and bytes. */
const DEFAULT_MEMORY = 256 * 1024 ** 2;
const DEFAULT_DB_POOL = 10;
const DEFAULT_SCALE_UP: ScalingStep = { cpu: 70, for: 120, step: 1 };
const DEFAULT_SCALE_DOWN: ScalingStep = { cpu: 20, for: 300, step: 1 };
const DEFAULT_COOLDOWN = 180;
const DEFAULT_HEALTH = { interval: 10, timeout: 5, healthy: 2, unhealthy: 3 };

/** The service with its profile underneath: mappings merge, names add up, all else is replaced. */
export function withProfile(
  service: ServiceInput,
  profile: ProfileInput | undefined,
): ServiceInput {
  if (profile === undefined) return service;
  return {
    ...profile,
    ...service,
    // An image and a build exclude each other: what the service says replaces both.
    ...(service.build !== undefined && { image: service.image }),
    ...(service.image !== undefined && { build: service.build }),
    replicas:
      typeof profile.replicas === 'object' && typeof service.replicas === 'object'
        ? { ...profile.replicas, ...service.replicas }
        : (service.replicas ?? profile.replicas),
    resources: mergeOptional(profile.resources, service.resources),
    health: mergeOptional(profile.health, service.health),
    env: { ...profile.env, ...service.env },
    secrets: addByName(profile.secrets ?? [], service.secrets ?? []),
    uses: [...new Set([...(profile.uses ?? []), ...(service.uses ?? [])])],
    peers: addPeers(profile.peers, service.peers),
  };
}

function mergeOptional<T extends object>(under: T | undefined, over: T | undefined): T | undefined {
  if (under === undefined || over === undefined) return over ?? under;
  return { ...under, ...over };
}

function addPeers(
  under: ServiceInput['peers'],
  over: ServiceInput['peers'],
): ServiceInput['peers'] {
  if (under === '*' || over === '*') return '*';
  return [...new Set([...(under ?? []), ...(over ?? [])])];
}

function addByName<T extends { readonly name: string }>(
  under: readonly T[],
  over: readonly T[],
): T[] {
  return [...new Map([...under, ...over].map((entry) => [entry.name, entry])).values()];
}

export interface ServiceSurroundings {
  readonly domain: string;
  /** Services with a port, for `peers: "*"`. */
  readonly reachable: readonly string[];
  /** Routes of a service that names none. */
  readonly defaultRoutes: readonly RouteInput[];
}

/** A merged service with every default filled in. */
export function resolveService(
  name: string,
  merged: ServiceInput,
  { domain, reachable, defaultRoutes }: ServiceSurroundings,
): Service {
  const peers = merged.peers === '*' ? reachable : (merged.peers ?? []);
  return {
    name,
    image: merged.image,
    build: merged.build,
    port: merged.port,
    command: merged.command,
    args: merged.args,
    replicas: resolveReplicas(merged.replicas),
    resources: resolveResources(merged.resources),
    health: resolveHealth(merged.health),
    metrics: resolveMetrics(merged.metrics, merged.port),
    migrate: merged.migrate,
    seed: merged.seed,
    peers: peers.filter((peer) => peer !== name),
    routes: (merged.routes ?? defaultRoutes).map((route) => resolveRoute(route, domain)),
    volumes: merged.volumes ?? [],
    env: merged.env ?? {},
    secrets: addByName([], merged.secrets ?? []),
    uses: [...new Set(merged.uses ?? [])].map(parseUse),
    database: merged.database,
    dbPool: merged.dbPool ?? DEFAULT_DB_POOL,
    scan: merged.scan,
  };
}

export function resolveAccessory(name: string, accessory: AccessoryInput): Accessory {
  return {
    ...accessory,
    name,
    resources: resolveResources(accessory.resources),
    health: resolveHealth(accessory.health),
    metrics: resolveMetrics(accessory.metrics, accessory.port),
  };
}

export function parseUse(written: string): Use {
  if (written === 'postgres' || written === 'redis') return { kind: written };
  if (written.startsWith('bucket:'))
    return { kind: 'bucket', name: written.slice('bucket:'.length) };
  return { kind: 'accessory', name: written };
}

/** `/api` and `/api/` are the same prefix; the form with the slash is the one that is kept. */
export function normalisePath(path: string): string {
  return path.endsWith('/') ? path : `${path}/`;
}

function resolveRoute(route: RouteInput, domain: string): Route {
  return { ...route, host: route.host ?? domain, path: normalisePath(route.path) };
}

export function resolveReplicas(written: ServiceInput['replicas']): Replicas {
  const range = typeof written === 'number' ? { min: written } : (written ?? {});
  const min = range.min ?? 1;
  return {
    min,
    max: range.max ?? min,
    scaleUp: { ...DEFAULT_SCALE_UP, ...definedOnly(range.scaleUp) },
    scaleDown: { ...DEFAULT_SCALE_DOWN, ...definedOnly(range.scaleDown) },
    cooldown: range.cooldown ?? DEFAULT_COOLDOWN,
  };
}

function definedOnly(step: Partial<Record<keyof ScalingStep, number | undefined>> | undefined) {
  const entries = Object.entries(step ?? {}).filter(([, value]) => value !== undefined);
  return Object.fromEntries(entries) as Partial<ScalingStep>;
}

function resolveResources(written: ServiceInput['resources']): Resources {
  return { cpus: written?.cpus, memory: written?.memory ?? DEFAULT_MEMORY };
}

function resolveHealth(written: ServiceInput['health']): Health {
  return {
    path: written?.path,
    command: written?.command,
    deepPath: written?.deepPath,
    expect: written?.expect,
    interval: written?.interval ?? DEFAULT_HEALTH.interval,
    timeout: written?.timeout ?? DEFAULT_HEALTH.timeout,
    healthy: written?.healthy ?? DEFAULT_HEALTH.healthy,
    unhealthy: written?.unhealthy ?? DEFAULT_HEALTH.unhealthy,
  };
}

function resolveMetrics(
  written: ServiceInput['metrics'],
  servicePort: number | undefined,
): Metrics | undefined {
  const port = written?.port ?? servicePort;
  // Metrics without any port are refused by a rule; here they are simply absent.
  return written === undefined || port === undefined ? undefined : { path: written.path, port };
}
