import { error, type PathStep, warning } from './finding.ts';
import type { Rule } from './rule.ts';

/** The share of Postgres connections that services may take; the rest is for people, backups and exporters. */
const CONNECTION_SHARE = 0.8;
/** Of `max_connections`, what Postgres keeps for its superuser. */
const RESERVED_CONNECTIONS = 3;

/** Connections that all services together may open. */
export function connectionsAllowed(maxConnections: number): number {
  return Math.floor(maxConnections * CONNECTION_SHARE);
}

/**
 * Connections of all replicas at their most against what Postgres allows; and with those of a release, which runs
 * beside the one before until that is drained.
 */
export const connectionsSuffice: Rule = function* ({ file, config }) {
  if (config.postgres === undefined) return;
  const { maxConnections } = config.postgres;
  const pools = Object.values(config.services)
    .filter((service) => service.uses.some((use) => use.kind === 'postgres'))
    .map(({ name, replicas, dbPool }) => ({
      name,
      sum: `${replicas.max} × ${dbPool}`,
      connections: replicas.max * dbPool,
    }));
  const [largest] = pools.toSorted((a, b) => b.connections - a.connections);
  if (largest === undefined) return;
  const wanted = pools.reduce((sum, { connections }) => sum + connections, 0);
  const allowed = connectionsAllowed(maxConnections);
  const path: readonly PathStep[] =
    file.postgres === undefined
      ? ['services', pools[0]?.name ?? '']
      : ['postgres', 'maxConnections'];
  const remedy = 'lower dbPool or replicas, or raise maxConnections';
  if (wanted > allowed) {
    const sums = pools.map(({ name, sum }) => `${name} ${sum}`).join(', ');
    const message = `services may open ${wanted} database connections (${sums}), more than ${allowed}, which is 80 % of postgres.maxConnections (${maxConnections}): ${remedy}`;
    yield error('connection-budget', path, message);
    return;
  }
  const released = wanted + largest.connections;
  const usable = maxConnections - RESERVED_CONNECTIONS;
  if (released > usable) {
    const message = `while a release of ${largest.name} runs beside the one before (${largest.sum} twice), services may open ${released} database connections, more than ${usable}, which is postgres.maxConnections (${maxConnections}) without what Postgres keeps for itself: ${remedy}`;
    yield warning('connection-overlap', path, message);
  }
};
