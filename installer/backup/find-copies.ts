import type { BackupJob, BackupSettings } from '../model/backup-settings.ts';
import type { BackupContext } from './context.ts';
import { isStoreError } from './find-backups.ts';
import { listStored, type StoredBackup } from './inventory.ts';
import type { Store } from './store/store.ts';

/** A copy of a backup in another store, under the same names. */
export interface FoundCopy extends Pick<StoredBackup, 'id' | 'complete' | 'verified' | 'size'> {
  /** Name of the store that it lies in. */
  readonly store: string;
}

/** The jobs that copy what this one makes. */
export function copyJobs({ jobs }: BackupSettings, of: string): BackupJob[] {
  return jobs.filter(({ source }) => source.kind === 'backup' && source.name === of);
}

/**
 * What lies in the stores that a job's backups are copied to. One that cannot be listed is told, and the others go on:
 * a copy is there for when something else fails.
 */
export async function findCopies(
  context: BackupContext,
  job: BackupJob,
  openStore: (name: string) => Promise<Store>,
): Promise<FoundCopy[]> {
  const found: FoundCopy[] = [];
  for (const { store, name } of copyJobs(context.settings, job.name)) {
    try {
      const stored = await listStored(await openStore(store), context.settings, job.name);
      found.push(
        ...stored.map(({ id, complete, verified, size }) => ({
          id,
          complete,
          verified,
          size,
          store,
        })),
      );
    } catch (error) {
      if (!isStoreError(error)) throw error;
      const text = `the copies of ${name} cannot be looked at: ${error.message}`;
      context.report({ kind: 'warning', code: error.code, text });
    }
  }
  return found;
}
