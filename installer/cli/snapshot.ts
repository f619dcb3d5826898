import { runBackup } from '../backup/run-backup.ts';
import { backupContext } from './backup-context.ts';
import type { CliContext, Server } from './context.ts';

/** Runs every logical backup of Postgres that was applied. */
export async function snapshot(context: CliContext, server: Server): Promise<void> {
  const backup = await backupContext({ ...context, open: async () => server });
  for (const { name, source } of backup.settings.jobs) {
    if (source.kind === 'postgres') await runBackup(backup, name);
  }
}
