import type { Retention } from '../model/backup-settings.ts';
import { asVerified, known, type StoredBackup } from './inventory.ts';
import { MANIFEST_NAME } from './keys.ts';
import { decideRetention, type KnownBackup } from './retention.ts';
import type { Store } from './store/store.ts';
import { removeBackup } from './sweep.ts';

export interface PruneInput {
  readonly store: Store;
  /** All that lies there of the job, newest first. A listing that nobody compared may be short. */
  readonly stored: readonly StoredBackup[];
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
  /** What the last pruning said. */
  readonly jumpedAt?: Date | undefined;
  /** Which of those that the rules give up stay all the same, by their ids. */
  readonly spare?: (givenUp: readonly KnownBackup[]) => Promise<readonly string[]>;
}

export interface Pruned {
  readonly removed: readonly string[];
  /** Given up, and locked in the store yet. */
  readonly locked: readonly string[];
  /** Why nothing is removed, where something is suspicious. */
  readonly held?: string;
  /** When a clock may have jumped, for the next pruning. */
  readonly jumpedAt?: Date | undefined;
}

/** Removes the backups of a job that its rules give up. @throws AppError of class `store` */
export async function prune(input: PruneInput): Promise<Pruned> {
  const { store, stored, place, job, rules, timezone, now, atLeast, reachBackSeconds } = input;
  const complete = known(stored);
  const backups = input.comparedOnTheWay === true ? asVerified(complete) : complete;
  const decision = decideRetention({
    backups,
    rules,
    timezone,
    now,
    jumpedAt: input.jumpedAt,
    ...(atLeast === undefined ? {} : { atLeast }),
    ...(reachBackSeconds === undefined ? {} : { reachBackSeconds }),
  });
  const { held, jumpedAt } = decision;
  const givenUp = new Set(decision.remove);
  // While all stays, nobody is spared anything.
  const spared =
    held === undefined
      ? await input.spare?.(backups.filter(({ id }) => givenUp.has(id)))
      : undefined;
  const remove = decision.remove.filter((id) => spared?.includes(id) !== true);
  const locked = lockedOf(remove, stored, input);
  const removed = remove.filter((id) => !locked.includes(id));
  const everyVersion = input.lockSeconds !== undefined;
  for (const id of removed) await removeBackup(store, place, job, id, everyVersion);
  return { removed, locked, jumpedAt, ...(held === undefined ? {} : { held }) };
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
