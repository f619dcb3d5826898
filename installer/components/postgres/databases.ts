import type { Postgres, Service } from '../rules/resolved.ts';
import { roleSecret } from './names.ts';

export interface ServiceDatabase {
  readonly database: string;
  readonly role: string;
  /** Name of the secret with the role's password. */
  readonly passwordSecret: string;
}

/**
 * The database and the role of a service that uses Postgres. A database that the config lists goes to the
 * service of its name, and a single one to every service; both belong to `postgres.owner`. Any other service
 * has a database and a role of its own, under its own name.
 */
export function databaseOf(
  postgres: Pick<Postgres, 'databases' | 'owner'>,
  service: Pick<Service, 'name'>,
): ServiceDatabase {
  const own = service.name.replaceAll('-', '_');
  const { databases, owner } = postgres;
  const [only] = databases;
  if (databases.includes(own)) return withSecret(own, owner);
  if (databases.length === 1 && only !== undefined) return withSecret(only, owner);
  return withSecret(own, own);
}

function withSecret(database: string, role: string): ServiceDatabase {
  return { database, role, passwordSecret: roleSecret(role) };
}
