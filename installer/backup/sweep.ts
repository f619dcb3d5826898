import { AppError } from '../errors.ts';
import { backupIdTime } from './backup-id.ts';
import { listStored, type StoredBackup } from './inventory.ts';
import { backupPrefix, jobPrefix, MANIFEST_NAME, parseKey, RUN_MARKER_NAME } from './keys.ts';
import { readSmall, type Store } from './store/store.ts';
import { refuseTakenOver } from './take-over.ts';

/** Debris of somebody else is left alone for so long: he may be at it. */
const FOREIGN_DEBRIS = 24 * 3_600_000;

export interface RunMarker {
  readonly version: 1;
  readonly id: string;
  readonly startedAt: string;
  readonly writer: { readonly host: string; readonly id: string };
}

export function markerBytes(marker: RunMarker): Buffer {
  return Buffer.from(`${JSON.stringify(marker)}\n`, 'utf8');
}

export interface SweepInput {
  readonly store: Store;
  readonly place: { readonly prefix: string; readonly project: string };
  readonly job: string;
  readonly writerId: string;
  readonly now: Date;
}

export interface Swept {
  readonly removed: readonly string[];
  readonly abortedUploads: number;
  /** Dead too, but the store lets nobody remove them. */
  readonly kept: readonly string[];
  /** What is left, newest first. */
  readonly stored: readonly StoredBackup[];
}

/**
 * Removes what runs of this job left that were killed. The caller holds the job's lock on this machine, so
 * what this machine began without finishing is dead; what another began is dead after a day.
 * @throws AppError `backup/taken-over` where this server has nothing to do with what lies there any more; class `store`
 */
export async function sweep(input: SweepInput): Promise<Swept> {
  await refuseTakenOver(input.store, input.place, input.writerId);
  const { store, place, job, now } = input;
  const stored = await listStored(store, place, job);
  const dead = new Set<string>();
  for (const backup of stored) {
    if (!backup.complete && (await isDead(input, backup))) dead.add(backup.id);
  }
  const finished = new Set(stored.filter(({ complete }) => complete).map(({ id }) => id));
  const alive = new Set(
    stored.filter(({ id, complete }) => !complete && !dead.has(id)).map(({ id }) => id),
  );
  const prefix = jobPrefix(place, job);
  const abortedUploads = await store.abortUploads(prefix, ({ key, startedAt }) => {
    const id = idOf(prefix, key);
    if (id !== undefined && (dead.has(id) || finished.has(id))) return true;
    if (id !== undefined && alive.has(id)) return false;
    return now.getTime() - startedAt.getTime() > FOREIGN_DEBRIS;
  });
  const kept = await removeDead(input, dead);
  return {
    removed: [...dead].filter((id) => !kept.has(id)),
    kept: [...kept],
    abortedUploads,
    stored: stored.filter(({ id }) => !dead.has(id)),
  };
}

/** A key without the right to delete, or a lock, is no reason to make no backup. @returns what stays */
async function removeDead(
  { store, place, job }: SweepInput,
  dead: ReadonlySet<string>,
): Promise<ReadonlySet<string>> {
  const kept = new Set<string>();
  for (const id of dead) {
    try {
      await removeBackup(store, place, job, id);
    } catch (error) {
      if (!(error instanceof AppError) || error.code !== 'store/forbidden') throw error;
      kept.add(id);
    }
  }
  return kept;
}

async function isDead(
  { store, place, job, writerId, now }: SweepInput,
  { id, files }: StoredBackup,
): Promise<boolean> {
  const folder = backupPrefix(place, job, id);
  // A listing that came back short would make debris of a whole backup.
  if ((await store.head(`${folder}${MANIFEST_NAME}`)) !== undefined) throw shortListing(store, id);
  const marker = await readSmall(store, `${folder}${RUN_MARKER_NAME}`);
  if (marker !== undefined && writerOf(marker) === writerId) return true;
  const begun = backupIdTime(id)?.getTime() ?? now.getTime();
  const lastWritten = Math.max(...[...files.values()].map(({ storedAt }) => storedAt.getTime()));
  return now.getTime() - Math.max(begun, lastWritten) > FOREIGN_DEBRIS;
}

function writerOf(marker: Buffer): string | undefined {
  try {
    const { writer } = JSON.parse(marker.toString('utf8')) as Partial<RunMarker>;
    return writer?.id;
  } catch {
    // Cut off while it was written: nobody's, so its age decides.
    return undefined;
  }
}

export function shortListing(store: Store, id: string): AppError {
  return new AppError({
    code: 'store/short-listing',
    what: `the listing of ${store.description} came back short`,
    why: `it lacks a part of ${id}, which is there`,
    hint: 'nothing was removed; try again: `holdfast backup list`',
  });
}

/** The id in a key, also in the key of a file that is still being written. */
function idOf(prefix: string, key: string): string | undefined {
  return parseKey(prefix, key)?.id;
}

/** Removes a backup so that a kill in between leaves no manifest without its objects: the manifest goes first. */
export async function removeBackup(
  store: Store,
  place: { readonly prefix: string; readonly project: string },
  job: string,
  id: string,
  everyVersion = false,
): Promise<void> {
  const folder = backupPrefix(place, job, id);
  const keys: string[] = [];
  for await (const { key } of store.list(folder)) keys.push(key);
  const order = (key: string): number =>
    key.endsWith('/manifest.json') ? 0 : key.endsWith(`/${RUN_MARKER_NAME}`) ? 2 : 1;
  await store.delete(
    keys.sort((a, b) => order(a) - order(b)),
    everyVersion,
  );
}
