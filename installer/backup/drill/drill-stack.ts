import { parse } from 'yaml';
import { LABELS } from '../../model/labels.ts';
import { engineName } from '../../model/stack.ts';
import { parseDuration } from '../../model/units.ts';

const DRILL_INTERVAL_SECONDS = 2;

/** What the drill starts of a service. What is not named here is left out: ports, labels, ways to the host. */
const KEPT_KEYS = [
  'command',
  'entrypoint',
  'user',
  'working_dir',
  'environment',
  'tmpfs',
  'healthcheck',
  'mem_limit',
  'cpus',
  'pids_limit',
  'shm_size',
  'ulimits',
  'sysctls',
  'cap_drop',
  'cap_add',
  'read_only',
  'security_opt',
  'stop_signal',
  'init',
] as const;

const PRODUCT: readonly unknown[] = ['services', 'accessories'];
const STORES = ['postgres', 'redis'] as const;
/** Marks every container of a drill. */
export const DRILL_LABEL = 'io.holdfast.drill';
const NETWORK = 'drill';
/** An address of documentation (RFC 5737): names that are not of the drill are asked of nobody. */
const NOBODY = '192.0.2.53';

interface LiveMount {
  readonly type: 'volume' | 'bind';
  readonly source: string;
  readonly target: string;
  readonly read_only?: boolean;
}

type LiveService = Readonly<Record<string, unknown>> & {
  readonly labels?: Readonly<Record<string, string>>;
  readonly environment?: Readonly<Record<string, string>>;
  readonly volumes?: readonly LiveMount[];
  readonly networks?: Readonly<Record<string, { readonly aliases?: readonly string[] } | null>>;
  readonly depends_on?: Readonly<Record<string, object>>;
  readonly healthcheck?: Readonly<Record<string, unknown>>;
};

export interface DrillInput {
  /** Of the live stack. */
  readonly project: string;
  /** Texts of the live stack's two compose files. */
  readonly compose: string;
  readonly secrets: string | undefined;
  /** Image ids of what runs now, by service. */
  readonly images: ReadonlyMap<string, string>;
  /** Disk that the engine can hold to a rate, and the rate. */
  readonly disk?: { readonly device: string; readonly bytesPerSecond: number };
}

export interface DrilledContainer {
  readonly name: string;
  readonly image: string;
  /** `uid:gid` of its process; the image's own when absent. */
  readonly user?: string;
}

export interface DrillStack {
  readonly project: string;
  /** A compose file, JSON; it holds secrets. */
  readonly compose: string;
  readonly services: readonly DrilledContainer[];
  /** The drill's own names on the engine, by the name of the live volume there. */
  readonly volumes: ReadonlyMap<string, string>;
  /** The drill's volume that a service mounts at a path. */
  readonly volumeAt: (service: string, target: string) => string | undefined;
  /** Services that mount one of the drill's volumes. */
  readonly usersOf: (volume: string) => readonly string[];
}

export function drillProject(project: string): string {
  return `${project}-drill`;
}

/**
 * The product and its stores as a stack of its own: the same images, secrets and names, on one network that leads
 * nowhere, with volumes of its own. Pure.
 */
export function drillStack(input: DrillInput): DrillStack {
  const live = servicesOf(input.compose);
  const secrets = input.secrets === undefined ? {} : servicesOf(input.secrets);
  const project = drillProject(input.project);
  const names = Object.keys(live).filter((name) => isDrilled(name, live[name] ?? {}));
  const volumes = new Map<string, string>();
  const services = names.map((name) => {
    const service = live[name] ?? {};
    for (const { type, source } of service.volumes ?? []) {
      if (type === 'volume') {
        volumes.set(engineName(input.project, source), engineName(project, source));
      }
    }
    const image = input.images.get(name) ?? String(service['image']);
    const user = service['user'] === undefined ? {} : { user: String(service['user']) };
    return { name, image, user, text: drilled(input, name, service, secrets[name], image, names) };
  });
  const compose = {
    name: project,
    services: Object.fromEntries(services.map(({ name, text }) => [name, text])),
    networks: {
      // Without an address on its bridge not even this machine can be reached.
      [NETWORK]: {
        internal: true,
        driver_opts: { 'com.docker.network.bridge.inhibit_ipv4': 'true' },
      },
    },
    volumes: Object.fromEntries(
      [...volumes.values()].map((name) => [name.slice(project.length + 1), { name }]),
    ),
  };
  return {
    project,
    compose: JSON.stringify(compose),
    services: services.map(({ name, image, user }) => ({ name, image, ...user })),
    volumes,
    volumeAt: (service, target) => {
      const mount = live[service]?.volumes?.find((one) => one.target === target);
      return mount?.type === 'volume' ? engineName(project, mount.source) : undefined;
    },
    usersOf: (volume) =>
      names.filter((name) =>
        live[name]?.volumes?.some(
          ({ type, source }) => type === 'volume' && engineName(project, source) === volume,
        ),
      ),
  };
}

/** Definitions only: the two sets of containers that are made from one repeat it. */
function isDrilled(name: string, { labels }: LiveService): boolean {
  const component = labels?.[LABELS.component];
  return PRODUCT.includes(component) || STORES.some((store) => store === name);
}

function drilled(
  { project, disk }: DrillInput,
  name: string,
  live: LiveService,
  secret: LiveService | undefined,
  image: string,
  names: readonly string[],
): object {
  const kept = KEPT_KEYS.flatMap((key) => (live[key] === undefined ? [] : [[key, live[key]]]));
  const aliases = Object.values(live.networks ?? {}).flatMap((network) => network?.aliases ?? []);
  const rates = disk === undefined ? undefined : [{ path: disk.device, rate: disk.bytesPerSecond }];
  return {
    ...Object.fromEntries(kept),
    ...quicklyChecked(live),
    image,
    pull_policy: 'never',
    environment: { ...live.environment, ...secret?.environment },
    volumes: (live.volumes ?? []).map((mount) =>
      // What lies on this machine is shared with the live stack, so it is for reading alone.
      mount.type === 'bind' ? { ...mount, read_only: true } : mount,
    ),
    depends_on: Object.fromEntries(
      Object.entries(live.depends_on ?? {}).filter(([other]) => names.includes(other)),
    ),
    networks: { [NETWORK]: { aliases: [...new Set(aliases)].filter((alias) => alias !== name) } },
    dns: [NOBODY],
    labels: { [DRILL_LABEL]: project },
    // A machine that comes up again starts no drill.
    restart: 'on-failure:3',
    // Where memory or time run short, it is the drill that gives way.
    oom_score_adj: 900,
    cpu_shares: 128,
    ...(rates === undefined
      ? {}
      : { blkio_config: { device_read_bps: rates, device_write_bps: rates } }),
    logging: { driver: 'json-file', options: { 'max-size': '1m', 'max-file': '1' } },
  };
}

function servicesOf(text: string): Readonly<Record<string, LiveService>> {
  return (parse(text) as { services?: Record<string, LiveService> } | null)?.services ?? {};
}

/** Compose waits for the engine's verdict on what others depend on, and a drill is over before that comes in the live stack. */
function quicklyChecked({ healthcheck }: LiveService): object {
  const { interval, retries } = healthcheck ?? {};
  const seconds = parseDuration(String(interval));
  if (seconds === undefined) return {};
  // As long as in the live stack before it is given up.
  const tries = Math.ceil((Number(retries ?? 3) * seconds) / DRILL_INTERVAL_SECONDS);
  return {
    healthcheck: { ...healthcheck, interval: `${DRILL_INTERVAL_SECONDS}s`, retries: tries },
  };
}
