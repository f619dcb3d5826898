import { AppError } from '../../errors.ts';
import {
  connectionTo,
  type PostgresServer,
  postgresExec,
  queryJson,
  runSql,
  sqlError,
} from '../psql.ts';
import { SHARED_SOCKET, SUPERUSER } from './upgrade-server.ts';

/** Every database that there is, but the one that never changes. */
const DATABASES = `SELECT coalesce(json_agg(datname ORDER BY datname), '[]') FROM pg_database WHERE datname <> 'template0';`;
/** They are there already. */
const MADE_BY_INITDB = ['postgres', 'template1'];

// `$1` names the old database, `$2` the new one; further words go to pg_dump, whose version is the new one.
const DUMP = `set -o pipefail
from=$1 to=$2; shift 2
pg_dump --host=${SHARED_SOCKET} --no-password --quote-all-identifiers "$@" --dbname="$from" |
  psql -XqAt -v ON_ERROR_STOP=1 -v VERBOSITY=terse --output=/dev/null --dbname="$to"`;

/**
 * Copies everything of the old server into the new one by the new version's dump, as a stream: roles with the
 * verifiers of their passwords as they are, databases with their rights, settings and rows, and what ALTER SYSTEM set.
 * @throws AppError `restore/upgrade-copy`
 */
export async function copyCluster(old: PostgresServer, young: PostgresServer): Promise<void> {
  await copyGlobals(young);
  for (const database of await queryJson<string[]>(old, 'postgres', DATABASES)) {
    const isMade = MADE_BY_INITDB.includes(database);
    await inNewServer(young, [
      'bash',
      '-c',
      DUMP,
      'bash',
      connectionTo(database),
      ...(isMade ? [connectionTo(database)] : [connectionTo('postgres'), '--create']),
    ]);
    if (isMade) await copyDatabaseRights(young, database);
  }
  await copySystemSettings(old, young);
  await inNewServer(young, ['vacuumdb', '--all', '--analyze-only', '--jobs=2', '--quiet']);
}

async function copyGlobals(young: PostgresServer): Promise<void> {
  const text = await inNewServer(young, [
    'pg_dumpall',
    ...[`--host=${SHARED_SOCKET}`, '--no-password', '--globals-only', '--quote-all-identifiers'],
  ]);
  // What initdb gave it goes; what it had before is in the dump, if it had any.
  const bare = `ALTER ROLE "${SUPERUSER}" PASSWORD NULL;\n`;
  await runSql(young, 'postgres', bare + text.replace(`CREATE ROLE "${SUPERUSER}";\n`, ''));
}

/** A dump without `CREATE DATABASE` says nothing of the database itself. */
async function copyDatabaseRights(young: PostgresServer, database: string): Promise<void> {
  const text = await inNewServer(young, [
    'pg_dump',
    ...[`--host=${SHARED_SOCKET}`, '--no-password', '--schema-only', '--create'],
    ...['--quote-all-identifiers', `--dbname=${connectionTo(database)}`],
  ]);
  const name = `"${database}"`;
  const wanted = [
    `ALTER DATABASE ${name} SET `,
    `ALTER DATABASE ${name} OWNER TO `,
    `ALTER DATABASE ${name} CONNECTION LIMIT `,
  ];
  const statements = text
    .split('\n')
    .filter(
      (line) =>
        line.endsWith(';') &&
        (wanted.some((begin) => line.startsWith(begin)) ||
          /^ALTER ROLE "(?:[^"]|"")+" IN DATABASE /.test(line) ||
          (/^(?:GRANT|REVOKE) /.test(line) && line.includes(` ON DATABASE ${name} `))),
    );
  if (statements.length > 0) await runSql(young, 'postgres', statements.join('\n'));
}

/** The file as it is: it is read when the stack's own server starts, and looked through here. */
async function copySystemSettings(old: PostgresServer, young: PostgresServer): Promise<void> {
  const file = 'postgresql.auto.conf';
  const text = await queryJson<string>(old, 'postgres', `SELECT to_json(pg_read_file('${file}'));`);
  const { exitCode, stderr } = await young.engine.exec(young.container, {
    ...postgresExec(young, ['sh', '-c', `cat >"$PGDATA/${file}"`]),
    stdin: text,
  });
  if (exitCode !== 0) throw copyFailed(stderr);
  const refused = await runSql(
    young,
    'postgres',
    `SELECT format('%s: %s', name, error) FROM pg_file_settings WHERE sourcefile ~ '${file}$' AND error <> 'setting could not be applied';`,
  );
  if (refused.length > 0) throw copyFailed(`a setting of ALTER SYSTEM: ${refused.join(', ')}`);
}

async function inNewServer(
  young: PostgresServer,
  argv: readonly [string, ...string[]],
): Promise<string> {
  const { exitCode, stdout, stderr } = await young.engine.exec(
    young.container,
    postgresExec(young, argv),
  );
  if (exitCode !== 0) throw copyFailed(sqlError(young, exitCode, stderr).why ?? stderr);
  return stdout;
}

function copyFailed(why: string): AppError {
  return new AppError({
    code: 'restore/upgrade-copy',
    what: 'the new version of Postgres does not take over the data',
    why: why.trim(),
    hint: 'correct what it says in the database, then `holdfast postgres rehearse`',
  });
}
