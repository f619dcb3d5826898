import { error, type PathStep } from './finding.ts';
import type { Rule } from './rule.ts';

/** The share of Postgres connections that services may take; the rest is for people, backups and exporters. */
const CONNECTION_SHARE = 0.8;

/** Connections that all services together may open. */
export function connectionsAllowed(maxConnections: number): number {
  return Math.floor(maxConnections * CONNECTION_SHARE);
}

/** Connections of all replicas at their most against what Postgres allows. */
export const connectionsSuffice: Rule = function* ({ file, config }) {
  if (config.postgres === undefined) return;
  const users = Object.values(config.services).filter((service) =>
    service.uses.some((use) => use.kind === 'postgres'),
  );
  const wanted = users.reduce((sum, service) => sum + service.replicas.max * service.dbPool, 0);
  const allowed = connectionsAllowed(config.postgres.maxConnections);
  if (wanted <= allowed) return;
  const sums = users
    .map(({ name, replicas, dbPool }) => `${name} ${replicas.max} × ${dbPool}`)
    .join(', ');
  const message = `services may open ${wanted} database connections (${sums}), more than ${allowed}, which is 80 % of postgres.maxConnections (${config.postgres.maxConnections}): lower dbPool or replicas, or raise maxConnections`;
  const path: readonly PathStep[] =
    file.postgres === undefined
      ? ['services', users[0]?.name ?? '']
      : ['postgres', 'maxConnections'];
  yield error('connection-budget', path, message);
};
