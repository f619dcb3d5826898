import type { Retention } from '../model/backup-settings.ts';
import { asVerified, known, listStored, type StoredBackup } from './inventory.ts';
import { MANIFEST_NAME } from './keys.ts';
import { decideRetention } from './retention.ts';
import type { Store } from './store/store.ts';
import { removeBackup } from './sweep.ts';

export interface PruneInput {
  readonly store: Store;
  readonly place: { readonly prefix: string; readonly project: string };
  readonly job: string;
  readonly rules: Retention;
  readonly timezone: string;
  readonly now: Date;
  readonly atLeast?: number;
  /** The store lets nobody remove a backup for so long, seconds. */
  readonly lockSeconds?: number;
  /** Copies that cannot be read back: they were compared with verified backups on their way. */
  readonly comparedOnTheWay?: boolean;
  /** Of base backups: how far back point-in-time recovery reaches. */
  readonly reachBackSeconds?: number;
}

export interface Pruned {
  readonly removed: readonly string[];
  /** Given up, and locked in the store yet. */
  readonly locked: readonly string[];
  /** Why nothing is removed, where something is suspicious. */
  readonly held?: string;
}

/** Removes the backups of a job that its rules give up. A listing that fails removes nothing: it throws. */
export async function prune(input: PruneInput): Promise<Pruned> {
  const { store, place, job, rules, timezone, now, atLeast, reachBackSeconds } = input;
  const stored = await listStored(store, place, job);
  const { remove, held } = decideRetention({
    backups: input.comparedOnTheWay === true ? asVerified(known(stored)) : known(stored),
    rules,
    timezone,
    now,
    complete: true,
    ...(atLeast === undefined ? {} : { atLeast }),
    ...(reachBackSeconds === undefined ? {} : { reachBackSeconds }),
  });
  const locked = lockedOf(remove, stored, input);
  const removed = remove.filter((id) => !locked.includes(id));
  const everyVersion = input.lockSeconds !== undefined;
  for (const id of removed) await removeBackup(store, place, job, id, everyVersion);
  return { removed, locked, ...(held === undefined ? {} : { held }) };
}

/** By the store's time of the manifest, which is later than that of the lock. */
function lockedOf(
  ids: readonly string[],
  stored: readonly StoredBackup[],
  { lockSeconds, now }: PruneInput,
): string[] {
  if (lockSeconds === undefined) return [];
  const since = now.getTime() - lockSeconds * 1000;
  return ids.filter((id) => {
    const manifest = stored.find((one) => one.id === id)?.files.get(MANIFEST_NAME);
    return manifest !== undefined && manifest.storedAt.getTime() > since;
  });
}
