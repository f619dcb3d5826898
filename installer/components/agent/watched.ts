import type {
  AgentSettings,
  ReplicaCheck,
  ScalingRule,
  WatchedService,
} from '../../model/agent-settings.ts';
import type { DatabaseClient } from '../../model/contribution.ts';
import { connectionsAllowed } from '../rules/budgets.ts';
import type { Replicas, Service } from '../rules/resolved.ts';
import type { Config } from '../sections.ts';

/** What the agent needs to know of each service to watch its replicas and their number. */
export function watchedServices(
  config: Config,
  databases: readonly DatabaseClient[],
): Pick<AgentSettings, 'services' | 'connectionsAllowed'> {
  const pools = new Map(databases.map(({ service, pool }) => [service, pool]));
  return {
    services: Object.values(config.services).map((service) =>
      watchedService(service, pools.get(service.name) ?? 0),
    ),
    ...(config.postgres !== undefined && {
      connectionsAllowed: connectionsAllowed(config.postgres.maxConnections),
    }),
  };
}

function watchedService(service: Service, connections: number): WatchedService {
  const { name, health, port, resources, replicas } = service;
  const scaling = scalingRule(replicas);
  return {
    name,
    check: checkOf(service),
    intervalSeconds: health.interval,
    timeoutSeconds: health.timeout,
    healthy: health.healthy,
    // The engine has counted the failures of a command already.
    unhealthy: health.command === undefined ? health.unhealthy : 1,
    ...(health.deepPath !== undefined &&
      port !== undefined && { deep: { port, path: health.deepPath } }),
    memoryBytes: resources.memory,
    ...(resources.cpus !== undefined && { cpus: resources.cpus }),
    connections,
    ...(scaling !== undefined && { scaling }),
  };
}

function checkOf({ health, port }: Service): ReplicaCheck {
  if (health.command !== undefined || port === undefined) return { kind: 'engine' };
  if (health.path === undefined) return { kind: 'port', port };
  const { path, expect } = health;
  return { kind: 'http', port, path, ...(expect !== undefined && { expect }) };
}

function scalingRule({
  min,
  max,
  scaleUp,
  scaleDown,
  cooldown,
}: Replicas): ScalingRule | undefined {
  if (max <= min) return undefined;
  const mark = ({ cpu, for: seconds, step }: Replicas['scaleUp']) => ({
    cpuPercent: cpu,
    forSeconds: seconds,
    step,
  });
  return {
    min,
    max,
    scaleUp: mark(scaleUp),
    scaleDown: mark(scaleDown),
    cooldownSeconds: cooldown,
  };
}
