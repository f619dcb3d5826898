import { runBackup } from '../backup/run-backup.ts';
import { AppError } from '../errors.ts';
import { appliedBackupSettings } from './applied.ts';
import { backupContext } from './backup-context.ts';
import type { CliContext, Server } from './context.ts';
import { programOnServer, REMOTE_COMMAND_SECONDS } from './program-on-server.ts';

/**
 * Runs every logical backup of Postgres that was applied. Backups are streams through the server's own disks and
 * keys: for another machine it is that machine that makes them.
 * @returns the ids of the backups that were made
 * @throws AppError the failure of the first that fails, `backup/on-server` where it was made elsewhere
 */
export async function snapshot(context: CliContext, server: Server): Promise<readonly string[]> {
  const { jobs } = await appliedBackupSettings(server.host, context.paths);
  const names = jobs.flatMap(({ name, source, method }) =>
    source.kind === 'postgres' && method !== 'physical' ? [name] : [],
  );
  if (server.host.name !== 'localhost') return runThere(context, server, names);
  const backup = await backupContext({ ...context, open: async () => server });
  const ids: string[] = [];
  for (const name of names) ids.push((await runBackup(backup, name)).id);
  return ids;
}

async function runThere(
  { paths, report }: CliContext,
  { host }: Server,
  names: readonly string[],
): Promise<readonly string[]> {
  if (names.length === 0) return [];
  const command = ['backup', 'run', ...names];
  report({ kind: 'progress', id: 'snapshot', text: `${host.name}: holdfast ${command.join(' ')}` });
  const { exitCode, stdout, stderr } = await host.run({
    argv: programOnServer(paths, ...command, '--json'),
    timeoutSeconds: REMOTE_COMMAND_SECONDS,
    okExitCodes: Array.from({ length: 256 }, (_, code) => code),
  });
  if (exitCode === 0) {
    const { made } = JSON.parse(stdout) as { readonly made: readonly { readonly id: string }[] };
    return made.map(({ id }) => id);
  }
  throw new AppError({
    code: 'backup/on-server',
    what: `the backup on ${host.name} ended with exit code ${exitCode}`,
    why: stderr.trim(),
    hint: `on ${host.name}: holdfast ${command.join(' ')}`,
  });
}
