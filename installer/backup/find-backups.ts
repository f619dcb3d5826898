import { AppError } from '../errors.ts';
import type { BackupJob } from '../model/backup-settings.ts';
import type { BackupContext } from './context.ts';
import { listStored, type StoredBackup } from './inventory.ts';
import { madeBy } from './keys.ts';
import { localCopiesFolder } from './local-copy.ts';
import { DirectoryStore } from './store/directory-store.ts';
import type { Store } from './store/store.ts';

/** A backup of a job, wherever it lies. */
export interface FoundBackup extends Pick<StoredBackup, 'id' | 'complete' | 'verified' | 'size'> {
  readonly job: BackupJob;
  readonly inStore: boolean;
  /** A complete copy lies on this server, whole or not. */
  readonly onServer: boolean;
}

export interface Findings {
  /** Newest first. */
  readonly backups: readonly FoundBackup[];
  /** Why the store could not be listed: then only the copies on this server are known. */
  readonly storeError?: AppError;
}

/** The copies that `keepLocal` leaves on this server, as a store. */
export function copiesOnServer({ paths }: Pick<BackupContext, 'paths'>): DirectoryStore {
  return new DirectoryStore(localCopiesFolder(paths));
}

/** What there is of a job in its store and among the copies on this server. */
export async function findBackups(
  context: BackupContext,
  job: BackupJob,
  store: Store,
): Promise<Findings> {
  const name = madeBy(job);
  // Copies on this server belong to the job that made them.
  const copies =
    name === job.name ? await listStored(copiesOnServer(context), context.settings, name) : [];
  try {
    const stored = await listStored(store, context.settings, name);
    const backups = merged(job, stored, copies);
    for (const { id } of backups.filter(({ inStore }) => !inStore)) {
      if (!stored.some((one) => one.id === id)) continue;
      const text = `${id} has no manifest in ${job.store} any more: its copy on this server counts`;
      context.report({ kind: 'warning', code: 'backup/damaged', text });
    }
    return { backups };
  } catch (error) {
    if (!isStoreError(error)) throw error;
    return { backups: merged(job, [], copies), storeError: error };
  }
}

export function isStoreError(error: unknown): error is AppError {
  return error instanceof AppError && error.code.startsWith('store/');
}

function merged(
  job: BackupJob,
  stored: readonly StoredBackup[],
  copies: readonly StoredBackup[],
): FoundBackup[] {
  const whole = new Map(copies.filter(({ complete }) => complete).map((copy) => [copy.id, copy]));
  const inStore = stored
    .filter(({ id, complete }) => complete || !whole.has(id))
    .map(({ id, complete, verified, size }) => ({
      ...{ job, id, complete, size, inStore: true },
      verified: verified || whole.get(id)?.verified === true,
      onServer: whole.has(id),
    }));
  const known = new Set(inStore.map(({ id }) => id));
  const onlyHere = [...whole.values()]
    .filter(({ id }) => !known.has(id))
    .map(({ id, complete, verified, size }) => ({
      ...{ job, id, complete, verified, size, inStore: false, onServer: true },
    }));
  return [...inStore, ...onlyHere].sort((a, b) => (a.id < b.id ? 1 : -1));
}
