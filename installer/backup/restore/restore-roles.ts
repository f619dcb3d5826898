import { type PostgresServer, runSql } from '../psql.ts';
import { type OpenBackup, readText } from '../read-object.ts';
import { missingRoleStatements, tablespacesIn } from './missing-roles.ts';

/** What is of the whole server that was saved, as SQL; empty where it was not saved. */
export async function readGlobals(backup: OpenBackup): Promise<string> {
  const object = backup.manifest.objects.find(({ role }) => role === 'globals');
  return object === undefined ? '' : await readText(backup, object);
}

/** Tablespaces that the saved server had and this one has not: a dump puts nothing into them then. */
export async function missingTablespaces(
  server: PostgresServer,
  globals: string,
): Promise<string[]> {
  const had = tablespacesIn(globals);
  if (had.length === 0) return [];
  const existing = await runSql(
    server,
    'postgres',
    'SELECT quote_ident(spcname) FROM pg_tablespace;',
  );
  return had.filter((name) => !existing.includes(name));
}

/** Makes the roles of a backup that the server lacks, so that the restored objects get their owners. */
export async function restoreRoles(server: PostgresServer, globals: string): Promise<void> {
  const existing = await runSql(server, 'postgres', 'SELECT quote_ident(rolname) FROM pg_roles;');
  const statements = missingRoleStatements(globals, new Set(existing));
  if (statements.length === 0) return;
  await runSql(server, 'postgres', ['BEGIN;', ...statements, 'COMMIT;'].join('\n'));
}
