import type { Postgres, Service } from '../rules/resolved.ts';
import { roleSecret } from './names.ts';

export interface ServiceDatabase {
  readonly database: string;
  readonly role: string;
  /** Name of the secret with the role's password. */
  readonly passwordSecret: string;
}

/**
 * The database and the role of a service that uses Postgres: the database that it names, else one of its own name,
 * or the single one that the config lists. What the config lists belongs to `postgres.owner`, what it does not to a
 * role of the service's own name.
 */
export function databaseOf(
  postgres: Pick<Postgres, 'databases' | 'owner'>,
  service: Pick<Service, 'name' | 'database'>,
): ServiceDatabase {
  const own = ownName(service);
  const { databases, owner } = postgres;
  const single = databases.length === 1 ? databases[0] : undefined;
  const database = service.database ?? single ?? own;
  return withSecret(database, databases.includes(database) ? owner : own);
}

/** Of the database and the role that are a service's own. */
export function ownName({ name }: Pick<Service, 'name'>): string {
  return name.replaceAll('-', '_');
}

function withSecret(database: string, role: string): ServiceDatabase {
  return { database, role, passwordSecret: roleSecret(role) };
}
