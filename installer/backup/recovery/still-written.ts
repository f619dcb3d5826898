import { AppError } from '../../errors.ts';
import { projectPrefix } from '../keys.ts';
import type { Store, StoredFile } from '../store/store.ts';
import type { StoredKit } from './find-kits.ts';

/**
 * Seconds after the last object within which a server counts as alive. With point-in-time recovery one that is used
 * writes every few seconds; a job takes hours at most between its first and its last object.
 */
const ALIVE_SECONDS = 15 * 60;

/**
 * Two servers of one project would both take requests and both write here, and nobody could tell their backups apart.
 * @throws AppError `restore/still-written` when something was stored for the project a moment ago
 */
export async function refuseStillWritten(store: Store, kit: StoredKit, now: Date): Promise<void> {
  let newest: StoredFile | undefined;
  for await (const file of store.list(projectPrefix(kit))) {
    if (newest === undefined || file.storedAt > newest.storedAt) newest = file;
  }
  const seconds = newest === undefined ? ALIVE_SECONDS : ageSeconds(newest, now);
  // Clocks may differ: what comes from the future was written just now.
  if (newest === undefined || seconds >= ALIVE_SECONDS) return;
  throw new AppError({
    code: 'restore/still-written',
    what: `a server may still write the backups of ${kit.project}: the last object came ${Math.max(0, Math.round(seconds))} seconds ago`,
    why: newest.key,
    hint: 'make sure that the old server is off and stays off, then run the same command with --take-over',
  });
}

function ageSeconds({ storedAt }: StoredFile, now: Date): number {
  return (now.getTime() - storedAt.getTime()) / 1_000;
}
