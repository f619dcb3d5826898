import type { Retention } from '../model/backup-settings.ts';
import { known, listStored } from './inventory.ts';
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
}

export interface Pruned {
  readonly removed: readonly string[];
  /** Why nothing is removed, where something is suspicious. */
  readonly held?: string;
}

/** Removes the backups of a job that its rules give up. A listing that fails removes nothing: it throws. */
export async function prune(input: PruneInput): Promise<Pruned> {
  const { store, place, job, rules, timezone, now, atLeast } = input;
  const stored = await listStored(store, place, job);
  const { remove, held } = decideRetention({
    backups: known(stored),
    rules,
    timezone,
    now,
    complete: true,
    ...(atLeast === undefined ? {} : { atLeast }),
  });
  for (const id of remove) await removeBackup(store, place, job, id);
  return { removed: remove, ...(held === undefined ? {} : { held }) };
}
