import { createHash, createHmac } from 'node:crypto';
import type { Provision } from '../../model/contribution.ts';
import { scramVerifier } from '../../model/scram.ts';
import type { Secret } from '../../model/secret.ts';
import { sqlIdentifier as id, sqlLiteral as text } from '../../model/sql-quote.ts';
import { MONITOR_ROLE, POSTGRES_SERVICE, SUPERUSER, WAL_ROLE } from './names.ts';

export interface Role {
  readonly name: string;
  readonly password: Secret;
}

export interface Database {
  readonly name: string;
  readonly owner: string;
}

export interface RolesInput {
  readonly project: string;
  /** Owners of databases; each a login without any privilege of the server. */
  readonly roles: readonly Role[];
  readonly databases: readonly Database[];
  readonly monitorPassword: Secret;
  /** Of the WAL receiver; undefined where there is none. */
  readonly walPassword?: Secret;
  /** Volume that a restore has made: what was restored may be from before a change of a password. */
  readonly volume?: string | undefined;
  /** Keys the digest, so that it tells nothing about a password. */
  readonly superuserPassword: Secret;
}

/** Id of the provision that makes roles and databases. */
export const ROLES_PROVISION = 'postgres:roles';

/** Stands on every role that holdfast made, so that it touches no other. */
const MARK = 'made by holdfast';

/** Brings roles, databases and their owners to what the config says. Drops nothing. */
export function rolesProvision(input: RolesInput): Provision {
  const names = input.databases.map(({ name }) => name);
  return {
    id: ROLES_PROVISION,
    service: POSTGRES_SERVICE,
    argv: psql('postgres'),
    user: SUPERUSER,
    // Only a provision that runs needs the script: a verifier is half a millisecond of work for each role.
    get stdin() {
      return rolesSql(input);
    },
    digest: digestOf(input),
    summary: `databases ${names.length === 0 ? 'none' : names.join(', ')} and their roles`,
  };
}

/** psql as the superuser through the socket: a script on standard input, stopped by its first error. */
export function psql(database: string): [string, ...string[]] {
  // Terse, since an error would otherwise repeat the line with the verifier of a password.
  const variables = ['ON_ERROR_STOP=1', 'VERBOSITY=terse', 'SHOW_CONTEXT=never'];
  return ['psql', '-X', '-q', '-At', ...variables.flatMap((one) => ['-v', one]), '-d', database];
}

/** The password of one role, set in the running server without ever being in a statement. */
export function passwordSql(project: string, role: string, password: Secret): string {
  const verifier = scramVerifier(password, `${project}/${role}`);
  return `${QUIET_SESSION}ALTER ROLE ${id(role)} PASSWORD ${text(verifier)};\n`;
}

/**
 * Keeps statements of this session out of the log, its quoting the one that is used here, and what a database sets for
 * the product away from it. Whoever owns a database can put functions of his own before the server's: a superuser
 * that calls them is his.
 */
const QUIET_SESSION = `SET standard_conforming_strings = on;
SET search_path = pg_catalog;
SET default_transaction_read_only = off;
SET statement_timeout = 0;
SET role = none;
SET log_statement = 'none';
SET log_min_duration_statement = -1;
SET log_min_error_statement = 'panic';
SET client_min_messages = 'warning';
`;

function rolesSql(input: RolesInput): string {
  const { project, roles, databases, walPassword } = input;
  const ours = [MONITOR_ROLE, ...(walPassword === undefined ? [] : [WAL_ROLE])];
  return [
    QUIET_SESSION,
    ...roles.map((role) => roleSql(project, role, '')),
    roleSql(
      project,
      { name: MONITOR_ROLE, password: input.monitorPassword },
      ' CONNECTION LIMIT 5',
    ),
    ...(walPassword === undefined ? [] : [walRoleSql(project, walPassword)]),
    `GRANT pg_monitor TO ${id(MONITOR_ROLE)};`,
    `ALTER ROLE ${id(MONITOR_ROLE)} SET statement_timeout = '10s';`,
    retireSql([...roles.map(({ name }) => name), ...ours]),
    `REVOKE ALL ON DATABASE ${id('postgres')} FROM PUBLIC;`,
    `REVOKE ALL ON DATABASE ${id('template1')} FROM PUBLIC;`,
    `GRANT CONNECT ON DATABASE ${id('postgres')} TO ${id(MONITOR_ROLE)};`,
    ...databases.map(formerOwnerSql),
    ...databases.map(databaseSql),
    extensionSql('postgres'),
    ...databases.map(insideSql),
    // Last, since REASSIGN OWNED moves every database of a former owner.
    ...databases.map(({ name, owner }) => `ALTER DATABASE ${id(name)} OWNER TO ${id(owner)};`),
    '',
  ].join('\n');
}

function roleSql(project: string, { name, password }: Role, limit: string): string {
  const verifier = scramVerifier(password, `${project}/${name}`);
  return `${unlessExists(`CREATE ROLE ${id(name)}`, `pg_roles WHERE rolname = ${text(name)}`)}
ALTER ROLE ${id(name)} LOGIN NOSUPERUSER NOCREATEDB NOCREATEROLE NOREPLICATION NOBYPASSRLS${limit} PASSWORD ${text(verifier)};
COMMENT ON ROLE ${id(name)} IS ${text(MARK)};`;
}

/** One connection for the WAL and one to ask where it is. */
function walRoleSql(project: string, password: Secret): string {
  const role = { name: WAL_ROLE, password };
  return `${roleSql(project, role, ' CONNECTION LIMIT 4')}
ALTER ROLE ${id(WAL_ROLE)} REPLICATION;`;
}

/** A role that the config no longer names keeps what it owns and cannot log in. */
function retireSql(wanted: readonly string[]): string {
  const names = wanted.map(text).join(', ');
  return `SELECT format('ALTER ROLE %I NOLOGIN', rolname) FROM pg_roles
  WHERE shobj_description(oid, 'pg_authid') = ${text(MARK)} AND rolcanlogin AND rolname NOT IN (${names}) \\gexec`;
}

function formerOwnerSql({ name, owner }: Database, index: number): string {
  const former = `SELECT pg_get_userbyid(datdba) FROM pg_database WHERE datname = ${text(name)}`;
  return `SELECT coalesce((${former}), ${text(owner)}) AS former_${index} \\gset`;
}

function databaseSql({ name, owner }: Database): string {
  return `${unlessExists(`CREATE DATABASE ${id(name)} OWNER ${id(owner)}`, `pg_database WHERE datname = ${text(name)}`)}
REVOKE ALL ON DATABASE ${id(name)} FROM PUBLIC;
GRANT CONNECT ON DATABASE ${id(name)} TO ${id(MONITOR_ROLE)};`;
}

function insideSql({ name, owner }: Database, index: number): string {
  return `${extensionSql(name)}
SELECT format('REASSIGN OWNED BY %I TO %I', :'former_${index}', ${text(owner)})
  WHERE :'former_${index}' NOT IN (${text(owner)}, ${text(SUPERUSER)}) \\gexec`;
}

/** An owner who dropped `public` has none of it: what Prometheus asks is the database `postgres`, which counts for all. */
function extensionSql(database: string): string {
  // A connection string, since \connect takes a bare word with `=` in it for one.
  return `\\connect ${connectTo(database)}
${QUIET_SESSION}SELECT 'CREATE EXTENSION IF NOT EXISTS pg_stat_statements SCHEMA public'
  WHERE EXISTS (SELECT FROM pg_namespace WHERE nspname = 'public') \\gexec`;
}

/** The argument of \connect: a connection string, in the double quotes of a name, in the single quotes of psql. */
function connectTo(database: string): string {
  const value = database.replaceAll('\\', '\\\\').replaceAll("'", "\\'");
  const name = `"dbname='${value.replaceAll('"', '""')}'"`;
  return `-reuse-previous=on '${name.replaceAll('\\', '\\\\').replaceAll("'", "''")}'`;
}

function unlessExists(statement: string, from: string): string {
  return `SELECT ${text(statement)} WHERE NOT EXISTS (SELECT FROM ${from}) \\gexec`;
}

function digestOf(input: RolesInput): string {
  const key = input.superuserPassword.reveal();
  const mark = (secret: Secret) => createHmac('sha256', key).update(secret.reveal()).digest('hex');
  const content = {
    project: input.project,
    roles: input.roles.map(({ name, password }) => ({ name, password: mark(password) })),
    databases: input.databases,
    monitor: mark(input.monitorPassword),
    ...(input.walPassword === undefined ? {} : { wal: mark(input.walPassword) }),
    ...(input.volume === undefined ? {} : { volume: input.volume }),
  };
  return createHash('sha256').update(JSON.stringify(content)).digest('hex');
}
