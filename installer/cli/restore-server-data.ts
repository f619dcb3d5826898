import type { BackupContext } from '../backup/context.ts';
import { isDamage } from '../backup/damage.ts';
import type { ChosenBackup, DataWish, OfServer } from '../backup/recovery/choose-data.ts';
import type { RestoredData } from '../backup/recovery/journal.ts';
import { withBackup } from '../backup/restore/choose-backup.ts';
import type { ClusterVolume } from '../backup/restore/cluster-volume.ts';
import { restoreAccessory } from '../backup/restore/restore-accessory.ts';
import { restoreCluster } from '../backup/restore/restore-cluster.ts';
import { restoreRedis, restoreVolume } from '../backup/restore/restore-files.ts';
import { restorePostgres } from '../backup/restore/restore-postgres.ts';
import { findJob } from '../backup/settings.ts';
import { AppError } from '../errors.ts';
import type { BackupJob } from '../model/backup-settings.ts';
import { holder } from './restore-consent.ts';
import { restoredLines } from './restore-text.ts';

export interface DataContext extends OfServer {
  readonly settings: BackupContext['settings'];
  /** How a job's store is reached. */
  readonly contextFor: (job: BackupJob) => BackupContext;
  /** Lets Postgres run on a cluster that was rolled forward. */
  readonly swap: (volume: ClusterVolume) => Promise<{ readonly kept: string }>;
  /** The WAL of the new timeline begins: slot and base backup. */
  readonly startAnew: () => Promise<unknown>;
}

/** The yes was given for all of it. */
const consent = async (): Promise<void> => undefined;

/**
 * Restores one source of data from the best of its backups that is whole.
 * @throws AppError classes `restore`, `backup`, `store`
 */
export async function restoreData(wish: DataWish, data: DataContext): Promise<RestoredData> {
  const { what, kind, backups } = wish;
  const rolled = await rollForward(wish, data);
  if (rolled !== undefined) return rolled;
  for (const [index, chosen] of backups.entries()) {
    const context = data.contextFor(findJob(data.settings, chosen.job));
    try {
      const lines = await restoreOne(context, kind, chosen, data.identityFile);
      return { what, backup: chosen.id, lines };
    } catch (error) {
      if (index === backups.length - 1 || !isDamage(error)) throw error;
      context.report({
        kind: 'warning',
        code: 'restore/fell-back',
        text: `${what}: ${chosen.id} is damaged, so the one before it is used: ${(error as Error).message}`,
      });
    }
  }
  throw new Error(`${what} has no backup to restore`);
}

/** The whole cluster to the end of its WAL; undefined where that fails and there is a dump to fall back to. */
async function rollForward(
  { what, base, backups, rollsForward }: DataWish,
  { settings, contextFor, identityFile, writer, swap, startAnew }: DataContext,
): Promise<RestoredData | undefined> {
  const { pitr } = settings;
  if (!rollsForward || pitr === undefined) return undefined;
  const context = contextFor(findJob(settings, pitr.job));
  const target = { kind: 'latest' } as const;
  try {
    const wish = { target, identityFile, from: writer.id, consent, swap };
    const done = await restoreCluster(context, wish);
    await startAnew();
    return {
      what,
      backup: done.base,
      lines: [
        ...done.cluster.databases.map(
          ({ name, tables, rows }) => `${name}: ${tables} tables, ${rows} rows`,
        ),
        ...done.cluster.unread.map((name) => `${name}: there, not read: its name is no UTF-8`),
        `its last commit was at ${done.lastCommit ?? 'a time before the base backup'}`,
        `the empty cluster is kept; when you are sure: docker volume rm ${done.kept}`,
      ],
    };
  } catch (error) {
    if (!(error instanceof AppError) || backups.length === 0) throw error;
    if (!/^(?:restore|backup)\//.test(error.code)) throw error;
    context.report({
      kind: 'warning',
      code: 'restore/fell-back',
      text: `the WAL after ${base} cannot be used, so the newest dump is: ${error.message}`,
    });
    return undefined;
  }
}

async function restoreOne(
  context: BackupContext,
  kind: DataWish['kind'],
  { job, id }: ChosenBackup,
  identityFile: string,
): Promise<string[]> {
  const container = context.settings.postgres?.container ?? 'postgres';
  return await withBackup(context, { job, id, kind, identityFile }, async (chosen) => {
    const files = { consent, holdServer: holder(context) };
    switch (kind) {
      case 'postgres': {
        const databases = await restorePostgres(context, chosen, { consent });
        return restoredLines({ id, databases, files: [] }, container);
      }
      case 'volume': {
        const restored = await restoreVolume(context, chosen, files);
        return restoredLines({ id, databases: [], files: [restored] }, container);
      }
      case 'accessory': {
        const wish = { ...files, keepsBefore: false };
        const accessories = [await restoreAccessory(context, chosen, wish)];
        return restoredLines({ id, databases: [], files: [], accessories }, container);
      }
      case 'redis': {
        const restored = await restoreRedis(context, chosen, files);
        return restoredLines({ id, databases: [], files: [restored] }, container);
      }
    }
  });
}
