import { isAtRest } from '../engine/container-state.ts';
import { readEdgeState } from '../engine/edge-state.ts';
import type { ContainerState } from '../engine/engine.ts';
import { AppError } from '../errors.ts';
import { LABELS } from '../model/labels.ts';
import type { Paths } from '../model/paths.ts';
import { appliedAgentSettings } from './applied.ts';
import type { Server } from './context.ts';

/** All containers of the applied project, by name. */
export async function stackContainers(server: Server, paths: Paths): Promise<ContainerState[]> {
  const { project } = await appliedAgentSettings(server.host, paths);
  const [containers, edge] = await Promise.all([
    server.engine.containers({ [LABELS.project]: project }),
    readEdgeState({ host: server.host, paths }),
  ]);
  return containers.filter((container) => {
    const { service, labels } = container;
    // A release that does not serve is kept, stopped, for the way back: nothing is wrong with it.
    const isOther =
      labels[LABELS.slot] !== undefined && labels[LABELS.slot] !== edge.services[service]?.slot;
    return service !== '' && !(isOther && isAtRest(container));
  });
}

/**
 * The containers of one service.
 * @throws AppError `usage/unknown-service` that names the services there are
 */
export async function serviceContainers(
  server: Server,
  paths: Paths,
  service: string,
): Promise<readonly [ContainerState, ...ContainerState[]]> {
  const all = await stackContainers(server, paths);
  const [first, ...rest] = all.filter((container) => container.service === service);
  if (first !== undefined) return [first, ...rest];
  const names = [...new Set(all.map((container) => container.service))].sort();
  throw new AppError({
    code: 'usage/unknown-service',
    what: `there is no service ${JSON.stringify(service)}`,
    ...(names.length === 0
      ? { why: 'this server has no containers', hint: 'holdfast apply' }
      : { why: `the services are ${names.join(', ')}`, hint: 'holdfast status' }),
  });
}

/** The container of a service that runs. @throws AppError `engine/not-running` */
export async function runningContainer(
  server: Server,
  paths: Paths,
  service: string,
): Promise<ContainerState> {
  const containers = await serviceContainers(server, paths, service);
  const running = containers.find(({ status }) => status === 'running');
  if (running !== undefined) return running;
  throw new AppError({
    code: 'engine/not-running',
    what: `no container of ${service} is running`,
    why: containers
      .map(({ name, status, exitCode }) => `${name} is ${status} (exit code ${exitCode})`)
      .join('\n'),
    hint: `holdfast logs ${service}`,
  });
}
