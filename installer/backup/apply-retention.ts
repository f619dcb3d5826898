import { AppError } from '../errors.ts';
import type { BackupJob } from '../model/backup-settings.ts';
import type { BackupContext } from './context.ts';
import { listStored, type StoredBackup } from './inventory.ts';
import { madeBy } from './keys.ts';
import { localCopiesFolder } from './local-copy.ts';
import { sparedOf } from './other-servers.ts';
import { type Pruned, prune } from './prune.ts';
import { isFrozen } from './settings.ts';
import { DirectoryStore } from './store/directory-store.ts';
import type { Store } from './store/store.ts';
import {
  jumpOf,
  notePruned,
  readStoredBackups,
  requireWholeListing,
  type WholeListing,
} from './stored-by-us.ts';
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
  await tolerant(context, async () => {
    const listing = await requireWholeListing(context, job, store);
    const pruned = await prune({
      store,
      stored: listing.stored,
      jumpedAt: listing.jumpedAt,
      place: settings,
      job: madeBy(job),
      rules: job.keepRemote,
      timezone: settings.timezone,
      now: now(),
      comparedOnTheWay: job.source.kind === 'backup' && isFrozen(settings, job.store),
      spare: (givenUp) => sparedOf(context, job, store, givenUp),
      ...reachOf(context, job),
      ...(job.lockSeconds === undefined ? {} : { lockSeconds: job.lockSeconds }),
    });
    await notePruned(context, job, pruned);
    if (mayLoseWal(job, listing)) {
      await pruneWal(context, job, store, without(listing.stored, pruned.removed));
    }
    return pruned;
  });
  if (job.source.kind === 'backup') return;
  await tolerant(context, () => pruneLocal(context, job));
}

/** A base that nobody knows of yet, or that somebody removed and may bring back, needs its WAL. */
function mayLoseWal({ method, source }: BackupJob, { isFirst, gone }: WholeListing): boolean {
  return method === 'physical' && source.kind !== 'backup' && !isFirst && gone.length === 0;
}

function without(stored: readonly StoredBackup[], removed: readonly string[]): StoredBackup[] {
  return stored.filter(({ id }) => !removed.includes(id));
}

/** Every moment of the window needs the base before it. */
function reachOf(
  { settings: { pitr } }: BackupContext,
  job: BackupJob,
): { readonly reachBackSeconds?: number } {
  return pitr?.job === job.name ? { reachBackSeconds: pitr.windowSeconds } : {};
}

async function pruneLocal(
  { host, settings, paths, now }: BackupContext,
  job: BackupJob,
): Promise<Pruned> {
  const store = new DirectoryStore(localCopiesFolder(paths));
  // Copies have no marker of their own: what a killed run left goes when it is a day old.
  await sweep({ store, place: settings, job: job.name, writerId: '', now: now() });
  if (job.keepLocalSeconds !== undefined) {
    return await prune({
      store,
      stored: await listStored(store, settings, job.name),
      // The same clock gave both their times.
      jumpedAt: jumpOf(await readStoredBackups(host, paths, job)),
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
  return { removed: all.map(({ id }) => id), locked: [] };
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
      text: `old backups stay for now: ${(error as Error).message}${mayNotDelete(error) ? ALLOW : ''}`,
    });
  }
}

function mayNotDelete(error: unknown): boolean {
  return error instanceof AppError && error.code === 'store/forbidden';
}

const ALLOW = '; name a key that may delete in storage.providers.<name>.deleteSecretRef';
