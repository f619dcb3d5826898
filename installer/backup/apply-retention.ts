import type { BackupJob } from '../model/backup-settings.ts';
import type { BackupContext } from './context.ts';
import { listStored } from './inventory.ts';
import { localCopiesFolder } from './local-copy.ts';
import { type Pruned, prune } from './prune.ts';
import { DirectoryStore } from './store/directory-store.ts';
import type { Store } from './store/store.ts';
import { removeBackup, sweep } from './sweep.ts';
import { pruneWal } from './wal/prune-wal.ts';

/**
 * Removes what the rules of a job give up, in its store and among the copies on this server. The backup is
 * made by now, so nothing in here fails it.
 */
export async function applyRetention(
  context: BackupContext,
  job: BackupJob,
  store: Store,
): Promise<void> {
  const { settings, now } = context;
  await tolerant(context, () =>
    prune({
      store,
      place: settings,
      job: job.name,
      rules: job.keepRemote,
      timezone: settings.timezone,
      now: now(),
    }),
  );
  await tolerant(context, () => pruneLocal(context, job));
  if (job.method === 'physical') {
    await tolerant(context, async () => {
      await pruneWal(context, job, store);
      return {};
    });
  }
}

async function pruneLocal(
  { settings, paths, now }: BackupContext,
  job: BackupJob,
): Promise<Pruned> {
  const store = new DirectoryStore(localCopiesFolder(paths));
  // Copies have no marker of their own: what a killed run left goes when it is a day old.
  await sweep({ store, place: settings, job: job.name, writerId: '', now: now() });
  if (job.keepLocalSeconds !== undefined) {
    return await prune({
      store,
      place: settings,
      job: job.name,
      rules: { keepSeconds: job.keepLocalSeconds },
      timezone: settings.timezone,
      now: now(),
      atLeast: 1,
    });
  }
  const all = await listStored(store, settings, job.name);
  for (const { id } of all) await removeBackup(store, settings, job.name, id);
  return { removed: all.map(({ id }) => id) };
}

async function tolerant(
  { report }: BackupContext,
  work: () => Promise<Pick<Pruned, 'held'>>,
): Promise<void> {
  try {
    const { held } = await work();
    if (held === undefined) return;
    report({ kind: 'warning', code: 'backup/retention-held', text: `nothing expires: ${held}` });
  } catch (error) {
    report({
      kind: 'warning',
      code: 'backup/retention-failed',
      text: `old backups stay for now: ${(error as Error).message}`,
    });
  }
}
