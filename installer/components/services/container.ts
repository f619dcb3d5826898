import type { StackService } from '../../model/stack.ts';
import type { ComponentInput } from '../component.ts';
import { appNetwork, dataNetwork, hasDataNetwork } from '../networks.ts';
import { POSTGRES_SERVICE } from '../postgres/names.ts';
import { REDIS_SERVICE } from '../redis/names.ts';
import type { Service } from '../rules/resolved.ts';
import { wantedReplicas } from './scales.ts';

/** What the image of a product may need to start as root, own its files, and step down to its user. */
export const CAPABILITIES = ['CHOWN', 'DAC_OVERRIDE', 'FOWNER', 'KILL', 'SETGID', 'SETUID'];

export interface ContainerParts {
  readonly image: string;
  readonly environment: Readonly<Record<string, string>>;
  /** Names of the secrets that it gets as files. */
  readonly secretFiles: readonly string[];
  /** Networks that it shares with its peers. */
  readonly peerNetworks: readonly string[];
}

/** The container of a service, as data for `compose/services.yaml.ejs`. */
export function containerOf(
  input: ComponentInput,
  service: Service,
  parts: ContainerParts,
): StackService {
  const networks = [
    appNetwork(service.name),
    ...(hasDataNetwork(service) ? [dataNetwork(service.name)] : []),
    ...parts.peerNetworks,
  ];
  return {
    image: parts.image,
    ...(service.command !== undefined && { entrypoint: [...service.command] }),
    ...(service.args !== undefined && { command: [...service.args] }),
    environment: { ...parts.environment },
    scale: wantedReplicas(service, input.scales),
    volumes: service.volumes.map(({ name, mount }) => ({
      type: 'volume',
      source: name,
      target: mount,
    })),
    secrets: parts.secretFiles.map((name) => ({
      file: secretPath(input, service.name, name),
      target: `/run/secrets/${name}`,
    })),
    networks: Object.fromEntries(networks.map((name) => [name, null])),
    healthcheck: healthcheckOf(service),
    mem_limit: service.resources.memory,
    ...(service.resources.cpus !== undefined && { cpus: service.resources.cpus }),
    pids_limit: 512,
    cap_add: CAPABILITIES,
    // Where an unknown program writes is unknown too.
    read_only: false,
    stop_grace_period: '30s',
    depends_on: serversOf(input, service),
  };
}

/** What it uses starts first; one that is probed from outside counts once it runs. */
function serversOf(
  { config }: ComponentInput,
  { uses }: Service,
): NonNullable<StackService['depends_on']> {
  const healthy = { condition: 'service_healthy' } as const;
  const servers = uses.flatMap((use) => {
    if (use.kind === 'postgres') return [[POSTGRES_SERVICE, healthy] as const];
    if (use.kind === 'redis') return [[REDIS_SERVICE, healthy] as const];
    if (use.kind === 'bucket') return [];
    const isChecked = config.accessories[use.name]?.health.command !== undefined;
    return [[use.name, isChecked ? healthy : { condition: 'service_started' as const }] as const];
  });
  return Object.fromEntries(servers);
}

/** Copy of a secret on the host that only this service mounts. */
export function secretPath(input: ComponentInput, service: string, name: string): string {
  return `${input.paths.secretMounts}/${service}/${name}`;
}

/** The image of a product may hold neither a shell nor a client, so a path is asked for from outside. */
export function healthcheckOf({ health }: Pick<Service, 'health'>): StackService['healthcheck'] {
  if (health.command === undefined) return { test: ['NONE'] };
  return {
    test: ['CMD', ...health.command],
    interval: `${health.interval}s`,
    timeout: `${health.timeout}s`,
    retries: health.unhealthy,
    start_period: '60s',
  };
}
