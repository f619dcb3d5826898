import { type PostgresServer, runSql } from '../psql.ts';
import { type OpenBackup, readText } from '../read-object.ts';
import { missingRoleStatements } from './missing-roles.ts';

/** Makes the roles of a backup that the server lacks, so that the restored objects get their owners. */
export async function restoreRoles(server: PostgresServer, backup: OpenBackup): Promise<void> {
  const object = backup.manifest.objects.find(({ role }) => role === 'globals');
  if (object === undefined) return;
  const globals = await readText(backup, object);
  const existing = await runSql(server, 'postgres', 'SELECT quote_ident(rolname) FROM pg_roles;');
  const statements = missingRoleStatements(globals, new Set(existing));
  if (statements.length === 0) return;
  await runSql(server, 'postgres', ['BEGIN;', ...statements, 'COMMIT;'].join('\n'));
}
