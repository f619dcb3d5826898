import type { BackupContext } from '../backup/context.ts';
import { keepMemorySmall } from '../backup/lean-memory.ts';
import { findStore, readBackupSettings, readSecret } from '../backup/settings.ts';
import { openStore } from '../backup/store/open-store.ts';
import type { CliContext } from './context.ts';

/** What the backup verbs need, from what was applied to this server. @throws AppError `backup/not-applied` */
export async function backupContext(context: CliContext): Promise<BackupContext> {
  keepMemorySmall();
  const { host, engine } = await context.open();
  const { paths, report, now, signal } = context;
  const settings = await readBackupSettings(host, paths);
  return {
    host,
    engine,
    paths,
    settings,
    report,
    now,
    signal,
    openStore: (name) =>
      openStore(findStore(settings, name), (secret) => readSecret(host, paths, secret), {
        host,
        paths,
      }),
  };
}
