import { runBackup } from '../backup/run-backup.ts';
import { AppError } from '../errors.ts';
import { appliedBackupSettings } from './applied.ts';
import { backupContext } from './backup-context.ts';
import type { CliContext, Server } from './context.ts';
import { programOnServer, REMOTE_COMMAND_SECONDS } from './program-on-server.ts';

/**
 * Runs every logical backup of Postgres that was applied. Backups are streams through the server's own disks and
 * keys: for another machine it is that machine that makes them.
 * @returns names of the jobs whose backup was made
 * @throws AppError the failure of the first that fails, `backup/on-server` where it was made elsewhere
 */
export async function snapshot(context: CliContext, server: Server): Promise<readonly string[]> {
  const { jobs } = await appliedBackupSettings(server.host, context.paths);
  const names = jobs.flatMap(({ name, source, method }) =>
    source.kind === 'postgres' && method !== 'physical' ? [name] : [],
  );
  if (server.host.name !== 'localhost') {
    await runThere(context, server, names);
    return names;
  }
  const backup = await backupContext({ ...context, open: async () => server });
  for (const name of names) await runBackup(backup, name);
  return names;
}

async function runThere(
  { paths, report }: CliContext,
  { host }: Server,
  names: readonly string[],
): Promise<void> {
  if (names.length === 0) return;
  const command = ['backup', 'run', ...names];
  const { exitCode, stderr } = await host.run({
    argv: programOnServer(paths, ...command),
    timeoutSeconds: REMOTE_COMMAND_SECONDS,
    okExitCodes: Array.from({ length: 256 }, (_, code) => code),
    onLine: (text) => report({ kind: 'progress', id: 'snapshot', text }),
  });
  if (exitCode === 0) return;
  throw new AppError({
    code: 'backup/on-server',
    what: `the backup on ${host.name} ended with exit code ${exitCode}`,
    why: stderr.trim(),
    hint: `on ${host.name}: holdfast ${command.join(' ')}`,
  });
}
