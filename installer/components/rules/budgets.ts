import { formatSize } from '../../model/units.ts';
import type { Config } from '../sections.ts';
import { error, type Finding, type PathStep, warning } from './finding.ts';
import type { Rule } from './rule.ts';

/** The share of Postgres connections that services may take; the rest is for people, backups and exporters. */
const CONNECTION_SHARE = 0.8;

/** Connections of all replicas at their most against what Postgres allows. */
export const connectionsSuffice: Rule = function* ({ file, config }) {
  if (config.postgres === undefined) return;
  const users = Object.values(config.services).filter((service) =>
    service.uses.some((use) => use.kind === 'postgres'),
  );
  const wanted = users.reduce((sum, service) => sum + service.replicas.max * service.dbPool, 0);
  const allowed = Math.floor(config.postgres.maxConnections * CONNECTION_SHARE);
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

/**
 * Memory of all containers of the product against the machine. A rule about facts, so that preflight calls it,
 * not the loader.
 *
 * @param hostMemoryBytes what the machine has, in bytes
 */
export function memoryProblems(config: Config, hostMemoryBytes: number): readonly Finding[] {
  const accessories = Object.values(config.accessories).reduce(
    (sum, accessory) => sum + accessory.resources.memory,
    0,
  );
  const services = Object.values(config.services);
  const redis = config.redis?.maxMemory ?? 0;
  const fixed = accessories + redis;
  const atLeast = services.reduce(
    (sum, { replicas, resources }) => sum + replicas.min * resources.memory,
    fixed,
  );
  const atMost = services.reduce(
    (sum, { replicas, resources }) => sum + replicas.max * resources.memory,
    fixed,
  );
  const host = formatMebibytes(hostMemoryBytes);
  if (atLeast > hostMemoryBytes) {
    const message = `the memory limits of all services at their fewest replicas add up to ${formatMebibytes(atLeast)}, more than the ${host} of this machine: lower resources.memory or replicas`;
    return [error('memory', ['services'], message)];
  }
  if (atMost > hostMemoryBytes) {
    const message = `the memory limits of all services at their most replicas add up to ${formatMebibytes(atMost)}, more than the ${host} of this machine: they cannot all scale up at once`;
    return [warning('memory', ['services'], message)];
  }
  return [];
}

function formatMebibytes(bytes: number): string {
  return formatSize(Math.floor(bytes / 1024 ** 2) * 1024 ** 2);
}
