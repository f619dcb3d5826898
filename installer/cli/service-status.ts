import { damagedFile } from '../apply/damaged-file.ts';
import { readText } from '../apply/read-text.ts';
import { COMPOSE_FILE } from '../engine/compose.ts';
import { type ComposedService, composedServices } from '../engine/composed-services.ts';
import { isUp } from '../engine/container-state.ts';
import { edgeContainer, readEdgeState } from '../engine/edge-state.ts';
import type { ContainerState } from '../engine/engine.ts';
import { isWell } from '../engine/is-well.ts';
import type { Host } from '../host/host.ts';
import { type EdgeState, servingSlot } from '../model/edge-state.ts';
import type { Paths } from '../model/paths.ts';
import { stackContainers } from './containers.ts';
import type { Server } from './context.ts';
import { type WatchedStatus, watchedStatus } from './replica-status.ts';

export interface ServiceStatus {
  readonly service: string;
  readonly healthy: number;
  /** Containers that there are, and those that are missing. */
  readonly replicas: number;
  readonly state: string;
  readonly image: string;
  /** What the agent sees of it; absent for parts of the platform, which it does not ask. */
  readonly watched?: WatchedStatus;
}

/**
 * Every service of the applied stack, also one whose containers are gone, and every container of another one.
 * @throws AppError `drift/file-damaged`
 */
export async function serviceStatus(server: Server, paths: Paths): Promise<ServiceStatus[]> {
  const { host } = server;
  const [containers, watched, wanted, edge] = await Promise.all([
    judgedContainers(server, paths),
    watchedStatus(host, paths),
    appliedServices(host, paths),
    readEdgeState({ host, paths }),
  ]);
  const byService = Map.groupBy(containers, ({ service }) => service);
  const names = [...new Set([...byService.keys(), ...wanted.keys()])].sort();
  return names.map((service) => {
    const found = byService.get(service) ?? [];
    return statusOf(service, found, {
      edge,
      wanted: wanted.get(service),
      seen: watched.get(service),
    });
  });
}

function statusOf(
  service: string,
  found: readonly ContainerState[],
  {
    edge,
    wanted,
    seen,
  }: {
    readonly edge: EdgeState;
    readonly wanted: ComposedService | undefined;
    readonly seen: WatchedStatus | undefined;
  },
): ServiceStatus {
  const isHealthy = ({ name, status, health }: ContainerState) =>
    status === 'running' &&
    (health === 'healthy' || health === 'none') &&
    seen?.sick.every(({ container }) => container !== name) !== false;
  const sick = found.find((replica) => !isHealthy(replica));
  const missing = Math.max(0, (wanted?.replicas ?? 0) - serving(service, found, edge).length);
  const state = sick === undefined ? 'running' : stateText(sick);
  return {
    service,
    replicas: found.length + missing,
    healthy: found.filter(isHealthy).length,
    state: missing === 0 ? state : missingText(missing),
    image: found[0]?.imageReference ?? wanted?.image ?? '',
    ...(seen === undefined ? {} : { watched: seen }),
  };
}

/** Of a release that takes over from another, both have containers: only one of them has to be complete. */
function serving(
  service: string,
  found: readonly ContainerState[],
  edge: EdgeState,
): ContainerState[] {
  const slotOf = (container: ContainerState) => edgeContainer(container).slot;
  const slot = servingSlot(
    edge,
    service,
    found.map((container) => ({ slot: slotOf(container), running: isUp(container) })),
  );
  return found.filter((container) => slotOf(container) === slot);
}

function missingText(missing: number): string {
  return `${missing} ${missing === 1 ? 'container is' : 'containers are'} gone: holdfast apply`;
}

async function appliedServices(
  host: Host,
  paths: Paths,
): Promise<ReadonlyMap<string, ComposedService>> {
  const path = `${paths.stack}/${COMPOSE_FILE}`;
  const text = await readText(host, path);
  try {
    return text === undefined ? new Map() : composedServices(text);
  } catch (cause) {
    throw damagedFile(path, cause);
  }
}

async function judgedContainers(server: Server, paths: Paths): Promise<ContainerState[]> {
  const containers = await stackContainers(server, paths);
  return await Promise.all(
    containers.map(async (container) => {
      const isUnjudged = container.status === 'running' && container.health === 'starting';
      return isUnjudged && (await isWell(server.engine, container.id))
        ? { ...container, health: 'healthy' as const }
        : container;
    }),
  );
}

function stateText({ status, health, oomKilled, exitCode }: ContainerState): string {
  if (oomKilled) return 'killed: out of memory';
  // Where the image has no check of its own, the agent's word counts.
  if (status === 'running') return health === 'none' ? 'sick' : health;
  return status === 'exited' ? `exited with ${exitCode}` : status;
}
