import type { ContainerInspectInfo } from 'dockerode';
import { LABELS } from '../model/labels.ts';
import type { ContainerState } from './engine.ts';

const COMPOSE_SERVICE_LABEL = 'com.docker.compose.service';
const ONE_OFF_LABEL = 'com.docker.compose.oneoff';

/** What the engine says of a container, in our words. */
export function containerState(info: ContainerInspectInfo): ContainerState {
  const labels = info.Config.Labels ?? {};
  return {
    id: info.Id,
    name: info.Name.replace(/^\//, ''),
    service: serviceOf(labels),
    imageId: info.Image,
    imageReference: info.Config.Image,
    labels,
    status: info.State.Status as ContainerState['status'],
    health: (info.State.Health?.Status ?? 'none') as ContainerState['health'],
    exitCode: info.State.ExitCode,
    oomKilled: info.State.OOMKilled,
    restartCount: info.RestartCount,
    startedAt: info.State.StartedAt,
    addresses: Object.fromEntries(
      Object.entries(info.NetworkSettings.Networks ?? {}).flatMap(([name, { IPAddress }]) =>
        IPAddress === '' ? [] : [[name, IPAddress]],
      ),
    ),
    aliases: Object.fromEntries(
      Object.entries(info.NetworkSettings.Networks ?? {}).map(([name, { Aliases }]) => [
        name,
        Aliases ?? [],
      ]),
    ),
    networks: Object.keys(info.NetworkSettings.Networks ?? {}).sort(),
    memoryLimit: info.HostConfig.Memory ?? 0,
    updatable: {
      restart: info.HostConfig.RestartPolicy?.Name || 'no',
      cpus: (info.HostConfig.NanoCpus ?? 0) / 1e9,
      pids: Math.max(0, info.HostConfig.PidsLimit ?? 0),
    },
    ...(info.State.Pid > 0 ? { pid: info.State.Pid } : {}),
  };
}

/** Whether nothing of it runs, nor will by itself: what ends at once and is started again and again is not at rest. */
export function isAtRest({ status }: Pick<ContainerState, 'status'>): boolean {
  return status === 'created' || status === 'exited' || status === 'dead';
}

/** Whether its processes are there: a backup may hold one still, and wakes it again. */
export function isUp({ status }: Pick<ContainerState, 'status'>): boolean {
  return status === 'running' || status === 'paused';
}

function serviceOf(labels: Readonly<Record<string, string>>): string {
  if (labels[ONE_OFF_LABEL] === 'True') return '';
  return labels[LABELS.service] ?? labels[COMPOSE_SERVICE_LABEL] ?? '';
}

/** What the last run of the health check printed; empty when there was none. */
export function lastHealthOutput(info: ContainerInspectInfo): string {
  return info.State.Health?.Log?.at(-1)?.Output?.trim() ?? '';
}
