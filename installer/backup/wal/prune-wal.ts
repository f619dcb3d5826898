import type { BackupJob } from '../../model/backup-settings.ts';
import type { BackupContext } from '../context.ts';
import { isDamage } from '../damage.ts';
import type { StoredBackup } from '../inventory.ts';
import { backupPrefix, MANIFEST_NAME } from '../keys.ts';
import type { BackupManifest } from '../manifest.ts';
import type { Store } from '../store/store.ts';
import { readManifest } from '../verify.ts';
import { parseLsn, parseSegment, segmentAt } from './segment.ts';
import { listStoredWal, type StoredWal } from './stored-wal.ts';

/** What the bases of one cluster need. */
interface Needs {
  /** The oldest base, by its id, and the timeline that it was made on. */
  readonly oldest: { readonly id: string; readonly timeline: number };
  /** Where the first WAL that any of them needs begins. */
  readonly startLsn: number;
  readonly segmentBytes: number;
  /** When the newest one was stored, by the store's clock. */
  readonly newestAt: Date;
}

/**
 * Removes WAL that no base backup in the store needs: whatever lies before the start of the oldest one of its
 * cluster. WAL of a cluster without any base backup stays. Where the manifest of a base is damaged, nobody knows
 * what it needs: then everything stays that it may need. And whatever the bases say, WAL stays that was stored within the
 * recovery window, counted back from the newest base: one that nobody knows of may begin there.
 * @param bases all that lie there of the job, newest first, of a listing that was compared with what is known
 * @returns how many objects went
 * @throws AppError of class `store`; nothing goes on half a listing
 */
export async function pruneWal(
  context: BackupContext,
  job: BackupJob,
  store: Store,
  bases: readonly StoredBackup[],
): Promise<number> {
  const { settings } = context;
  const { clusters, unknown } = await needsOf(context, job, store, bases);
  let removed = 0;
  for (const [systemIdentifier, { oldest, startLsn, segmentBytes, newestAt }] of clusters) {
    // One from before all that are known may need any of it.
    if (unknown.some((id) => id < oldest.id)) continue;
    // A later one begins later on the same timeline; after a restore to an earlier point it may begin before.
    const timeline = unknown.length === 0 ? undefined : oldest.timeline;
    const wal = await listStoredWal(store, settings, systemIdentifier);
    const keys = needless(wal, {
      firstIndex: segmentAt(startLsn, segmentBytes),
      segmentBytes,
      timeline,
      storedBefore: windowBegin(context, job, newestAt),
    });
    await store.delete(keys);
    removed += keys.length;
  }
  return removed;
}

function windowBegin(
  { settings: { pitr } }: BackupContext,
  job: BackupJob,
  newestAt: Date,
): Date | undefined {
  if (pitr?.job !== job.name) return undefined;
  return new Date(newestAt.getTime() - pitr.windowSeconds * 1000);
}

/** @returns unknown: ids of the bases whose manifest is damaged */
async function needsOf(
  context: BackupContext,
  job: BackupJob,
  store: Store,
  bases: readonly StoredBackup[],
): Promise<{ readonly clusters: Map<string, Needs>; readonly unknown: readonly string[] }> {
  const clusters = new Map<string, Needs>();
  const unknown: string[] = [];
  for (const { id, files } of bases.toReversed()) {
    const stored = files.get(MANIFEST_NAME);
    if (stored === undefined) continue;
    const manifest = await manifestOf(context, job, store, id);
    if (manifest === undefined) {
      unknown.push(id);
      continue;
    }
    const { base, server } = manifest;
    if (base === undefined || server === undefined) continue;
    const { segmentBytes, timeline } = base;
    const known = clusters.get(server.systemIdentifier);
    clusters.set(server.systemIdentifier, {
      oldest: known?.oldest ?? { id, timeline },
      startLsn: Math.min(known?.startLsn ?? Number.POSITIVE_INFINITY, parseLsn(base.startLsn)),
      segmentBytes,
      newestAt: stored.storedAt,
    });
  }
  return { clusters, unknown };
}

/** Undefined where it is damaged, which is told. */
async function manifestOf(
  { settings, report }: BackupContext,
  job: BackupJob,
  store: Store,
  id: string,
): Promise<BackupManifest | undefined> {
  try {
    return (await readManifest(store, backupPrefix(settings, job.name, id), id)).manifest;
  } catch (error) {
    if (!isDamage(error)) throw error;
    const text = `the WAL that ${id} may need stays while that is there: ${(error as Error).message}`;
    report({ kind: 'warning', code: 'backup/wal-kept', text });
    return undefined;
  }
}

/** Where WAL ends that nobody needs. */
export interface Needless {
  /** The first segment that is needed. */
  readonly firstIndex: number;
  readonly segmentBytes: number;
  /** On which it has to lie; on whichever when undefined. */
  readonly timeline?: number | undefined;
  /** By the store's clock; whenever when undefined. */
  readonly storedBefore?: Date | undefined;
}

/** Keys of what lies before a segment, and beginnings of segments that are stored whole. */
export function needless(wal: readonly StoredWal[], end: Needless): string[] {
  const { firstIndex, segmentBytes, storedBefore } = end;
  const whole = wholeSince(wal);
  return wal
    .filter(({ kind, name, storedAt }) => {
      if (kind === 'history') return false;
      const { index, timeline } = parseSegment(name, segmentBytes);
      const isYoung = storedBefore !== undefined && storedAt >= storedBefore;
      const isOld = index < firstIndex && (end.timeline ?? timeline) === timeline && !isYoung;
      // One that is newer was begun again after the machine went back to an earlier state.
      const isFinished = storedAt.getTime() <= (whole.get(name) ?? Number.NEGATIVE_INFINITY);
      return isOld || (kind === 'partial' && isFinished);
    })
    .map(({ key }) => key);
}

/** When each segment was last stored whole, by its name; milliseconds since the epoch. */
function wholeSince(wal: readonly StoredWal[]): ReadonlyMap<string, number> {
  const found = new Map<string, number>();
  for (const { kind, name, storedAt } of wal) {
    if (kind !== 'segment') continue;
    found.set(name, Math.max(storedAt.getTime(), found.get(name) ?? 0));
  }
  return found;
}
