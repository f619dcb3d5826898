import type { BackupJob } from '../../model/backup-settings.ts';
import type { BackupContext } from '../context.ts';
import { listStored } from '../inventory.ts';
import { backupPrefix } from '../keys.ts';
import type { Store } from '../store/store.ts';
import { readManifest } from '../verify.ts';
import { parseLsn, parseSegment, segmentAt } from './segment.ts';
import { listStoredWal, type StoredWal } from './stored-wal.ts';

/**
 * Removes WAL that no base backup in the store needs: whatever lies before the start of the oldest one of its
 * cluster. WAL of a cluster without any base backup stays. @returns how many objects went
 * @throws AppError of class `store`; nothing goes on half a listing
 */
export async function pruneWal(
  { settings }: BackupContext,
  job: BackupJob,
  store: Store,
): Promise<number> {
  const oldest = new Map<string, { startLsn: number; segmentBytes: number }>();
  for (const { id, complete } of await listStored(store, settings, job.name)) {
    if (!complete) continue;
    const folder = backupPrefix(settings, job.name, id);
    // A manifest that cannot be read may need any WAL: it ends the pruning as an error.
    const { base, server } = (await readManifest(store, folder, id)).manifest;
    if (base === undefined || server === undefined) continue;
    const { segmentBytes } = base;
    const startLsn = parseLsn(base.startLsn);
    const known = oldest.get(server.systemIdentifier);
    if (known === undefined || startLsn < known.startLsn) {
      oldest.set(server.systemIdentifier, { startLsn, segmentBytes });
    }
  }
  let removed = 0;
  for (const [systemIdentifier, { startLsn, segmentBytes }] of oldest) {
    const wal = await listStoredWal(store, settings, systemIdentifier);
    const keys = needless(wal, segmentAt(startLsn, segmentBytes), segmentBytes);
    await store.delete(keys);
    removed += keys.length;
  }
  return removed;
}

/** Keys of what lies before a segment, on whichever timeline, and beginnings of segments that are stored whole. */
export function needless(
  wal: readonly StoredWal[],
  firstIndex: number,
  segmentBytes: number,
): string[] {
  const whole = new Set(wal.flatMap(({ kind, name }) => (kind === 'segment' ? [name] : [])));
  return wal
    .filter(({ kind, name }) => {
      if (kind === 'history') return false;
      const isOld = parseSegment(name, segmentBytes).index < firstIndex;
      return isOld || (kind === 'partial' && whole.has(name));
    })
    .map(({ key }) => key);
}
