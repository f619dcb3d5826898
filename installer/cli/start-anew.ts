import type { BackupContext } from '../backup/context.ts';
import { runBackup } from '../backup/run-backup.ts';
import { beginChain } from '../backup/wal/begin-chain.ts';
import { AppError } from '../errors.ts';
import { backupContext } from './backup-context.ts';
import type { CliContext, Server } from './context.ts';

/** Point-in-time recovery on another cluster; on another machine its agent sees to it. */
export async function startAnew(context: CliContext, server: Server): Promise<void> {
  if (server.host.name !== 'localhost') return;
  await startChainAnew(await backupContext({ ...context, open: async () => server }));
}

/** The old WAL leads nowhere from here: the slot anew, and a base backup. The data is live; nothing here takes it back. */
export async function startChainAnew(backup: BackupContext): Promise<string | undefined> {
  const { pitr } = backup.settings;
  if (pitr === undefined) return undefined;
  try {
    await beginChain(backup);
    return (await runBackup(backup, pitr.job)).id;
  } catch (error) {
    if (error instanceof AppError && error.code === 'lock/held') {
      backup.report({ kind: 'notice', text: 'the agent makes the new base backup already' });
      return undefined;
    }
    backup.report({
      kind: 'warning',
      code: 'restore/no-new-base',
      text: `the new base backup failed, and the agent tries again: ${(error as Error).message}`,
    });
    return undefined;
  }
}
