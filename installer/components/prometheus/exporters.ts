import type { FileSpec, Fragment } from '../../model/contribution.ts';
import type { PlatformImage } from '../../model/images.ts';
import type { ComponentInput } from '../component.ts';
import { exporterNetwork, MONITOR_NETWORK } from '../networks.ts';
import { STATUS_PORT } from '../nginx/places.ts';
import { httpHealthTest, requiredImage } from '../platform-image.ts';
import {
  MONITOR_ROLE,
  POSTGRES_PORT,
  MONITOR_SECRET as POSTGRES_SECRET,
  POSTGRES_SERVICE,
} from '../postgres/names.ts';
import {
  MONITOR_USER,
  REDIS_PORT,
  MONITOR_SECRET as REDIS_SECRET,
  REDIS_SERVICE,
} from '../redis/names.ts';
import type { Config } from '../sections.ts';
import { MEASURING_UID } from './places.ts';

export interface Exporter {
  readonly image: PlatformImage;
  /** Also its DNS name. */
  readonly service: PlatformImage;
  readonly port: number;
}

/** The exporters that a config needs. */
export function exportersOf(config: Config): Exporter[] {
  const exporter = (image: PlatformImage, port: number) => ({ image, service: image, port });
  return [
    exporter('node-exporter', 9100),
    exporter('nginx-exporter', 9113),
    ...(config.postgres === undefined ? [] : [exporter('postgres-exporter', 9187)]),
    ...(config.redis === undefined ? [] : [exporter('redis-exporter', 9121)]),
  ];
}

/** One fragment for each exporter. */
export function exporterFragments(input: ComponentInput): Fragment[] {
  const { config, paths } = input;
  const particulars: Readonly<Partial<Record<PlatformImage, Record<string, unknown>>>> = {
    'node-exporter': {
      metricsFolder: paths.metrics,
      // Disks that are mounted later are seen too. systemd makes the root a shared mount, which this
      // needs; without it the engine would refuse to start the container.
      hostMount: input.facts.systemd ? { propagation: 'rslave' } : {},
      enhanced: config.monitoring.prometheus.enhanced,
    },
    'nginx-exporter': {
      arguments: [`--nginx.scrape-uri=http://nginx:${STATUS_PORT}/stub_status`, '--log.level=warn'],
      ...networks(exporterNetwork('nginx')),
    },
    'postgres-exporter': {
      server: `${POSTGRES_SERVICE}:${POSTGRES_PORT}/postgres?sslmode=disable`,
      role: MONITOR_ROLE,
      passwordFile: passwordMount(input, 'postgres-exporter', POSTGRES_SECRET),
      ...networks(exporterNetwork('postgres')),
    },
    'redis-exporter': {
      server: `redis://${REDIS_SERVICE}:${REDIS_PORT}`,
      redisUser: MONITOR_USER,
      passwordFile: passwordMount(input, 'redis-exporter', REDIS_SECRET),
      ...networks(exporterNetwork('redis')),
    },
  };
  return exportersOf(config).map(({ image: name, port }) => {
    const image = requiredImage(input, name);
    const client = name === 'redis-exporter' || name === 'nginx-exporter' ? 'none' : 'wget';
    return {
      component: 'prometheus',
      template: `${name}.yaml.ejs`,
      data: {
        image: image.reference,
        user: `${MEASURING_UID}:${MEASURING_UID}`,
        healthTest: httpHealthTest(image, `http://127.0.0.1:${port}/`, client),
        ...networks(),
        ...particulars[name],
      },
    };
  });
}

function networks(...more: readonly string[]) {
  const names = [MONITOR_NETWORK, ...more];
  return {
    networks: Object.fromEntries(names.map((name) => [name, null])),
    networkKinds: Object.fromEntries(names.map((name) => [name, { internal: true }])),
  };
}

/** The copies of passwords that exporters read. */
export function exporterSecrets(input: ComponentInput): FileSpec[] {
  const { config } = input;
  const file = (service: string, name: string, text: string): FileSpec => ({
    path: passwordMount(input, service, name),
    component: 'prometheus',
    content: { text },
    secret: true,
    mode: 0o400,
    uid: MEASURING_UID,
    gid: MEASURING_UID,
    onChange: [{ kind: 'restart', service }],
  });
  return [
    ...(config.postgres === undefined
      ? []
      : [file('postgres-exporter', POSTGRES_SECRET, input.secret(POSTGRES_SECRET).reveal())]),
    ...(config.redis === undefined
      ? []
      : [file('redis-exporter', REDIS_SECRET, redisPasswords(input))]),
  ];
}

/** The exporter looks passwords up by the address with the user in it. */
function redisPasswords(input: ComponentInput): string {
  const address = `redis://${MONITOR_USER}@${REDIS_SERVICE}:${REDIS_PORT}`;
  return `${JSON.stringify({ [address]: input.secret(REDIS_SECRET).reveal() })}\n`;
}

function passwordMount({ paths }: ComponentInput, service: string, name: string): string {
  return `${paths.secretMounts}/${service}/${name}`;
}
