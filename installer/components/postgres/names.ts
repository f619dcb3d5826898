import { createHash } from 'node:crypto';

/** What the parts that talk to Postgres have to agree on. */

/** Stack service, and its DNS name on every network that it is on. */
export const POSTGRES_SERVICE = 'postgres';
export const POSTGRES_PORT = 5432;
export const POSTGRES_VOLUME = 'postgres-data';
/** uid and gid of `postgres` in the official images and in ours. */
export const POSTGRES_UID = 999;

/** Comes in through the socket inside the container, as the operating system user; never over a network. */
export const SUPERUSER = 'postgres';
export const SUPERUSER_SECRET = 'POSTGRES_SUPERUSER_PASSWORD';

/** Of the exporter: a member of `pg_monitor` and of nothing else. Connects to the database `postgres`. */
export const MONITOR_ROLE = 'holdfast_monitor';
export const MONITOR_SECRET = 'POSTGRES_MONITOR_PASSWORD';

/** Stack service that takes the WAL for point-in-time recovery. */
export const WAL_SERVICE = 'postgres-wal';
/** Of the receiver: may stream WAL and nothing else. */
export const WAL_ROLE = 'holdfast_wal';
export const WAL_SECRET = 'POSTGRES_WAL_PASSWORD';
/** Holds back the WAL that the receiver has not taken yet. */
export const WAL_SLOT = 'holdfast_wal';

const LONGEST_NAME = 64;

/** Name of the secret with the password of a role. */
export function roleSecret(role: string): string {
  const name = `POSTGRES_ROLE_${role.toUpperCase().replaceAll(/[^A-Z0-9_]/g, '_')}_PASSWORD`;
  if (name.length <= LONGEST_NAME) return name;
  const mark = createHash('sha256').update(role).digest('hex').slice(0, 8).toUpperCase();
  return `${name.slice(0, LONGEST_NAME - 18)}_${mark}_PASSWORD`;
}

/** A role that would be, or look like, one of the server's own or of ours. */
export function isReservedRole(role: string): boolean {
  return /^(?:postgres|public|none|user|current_.*|session_user|pg_.*|holdfast_.*)$/.test(role);
}

/** Databases that every server has. */
export function isReservedDatabase(database: string): boolean {
  return /^(?:postgres|template0|template1)$/.test(database);
}
