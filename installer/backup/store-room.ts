import type { StoreRoom } from '../model/backup-result.ts';
import type { BackupJob, BackupSettings } from '../model/backup-settings.ts';
import { space } from './free-space.ts';
import type { StoredBackup } from './inventory.ts';

/**
 * How full the store of a job is, for who is to be told before a backup no longer fits.
 * @param stored what the run found there; undefined when it did not come so far
 * @param madeBytes what it added
 */
export async function storeRoom(
  settings: BackupSettings,
  job: BackupJob,
  stored: readonly StoredBackup[] | undefined,
  madeBytes: number,
): Promise<StoreRoom> {
  const store = settings.stores.find(({ name }) => name === job.store);
  const before = stored?.reduce((sum, { size }) => sum + size, 0);
  const disk = store?.kind === 'directory' ? await diskOf(store.path) : undefined;
  return {
    name: job.store,
    ...(before === undefined ? {} : { storedBytes: before + madeBytes }),
    ...(disk === undefined ? {} : { disk }),
  };
}

async function diskOf(folder: string): Promise<StoreRoom['disk']> {
  try {
    const { free, total } = await space(folder);
    return { freeBytes: free, bytes: total };
  } catch {
    // The run itself has failed of a disk that cannot be asked, and tells it.
    return undefined;
  }
}
