import type { WalStatus } from '../../model/wal-status.ts';
import type { Store } from '../store/store.ts';
import { withGap } from './gaps.ts';
import { listStoredNear } from './stored-wal.ts';

/** A retry stores a segment twice too, under two names where it is encrypted; seconds. */
const LONGEST_RETRY = 900;

interface Place {
  readonly prefix: string;
  readonly project: string;
}

/**
 * Whether the store held a segment like the one shipped last, or later ones, before: then this machine went back to an
 * earlier state, or it is a clone, and base backups of before may hold what was given up. It is a gap, so that a new
 * one is made. What is older than the last gap is history. One request.
 * @throws AppError of class `store`
 */
export async function withWrittenAgain(
  store: Store,
  place: Place,
  status: WalStatus,
  now: Date,
): Promise<WalStatus> {
  const { shippedThrough, systemIdentifier, gaps } = status;
  if (shippedThrough === undefined) return status;
  const known = Date.parse(gaps.at(-1)?.noticedAt ?? '') || 0;
  const stored = (await listStoredNear(store, place, systemIdentifier, shippedThrough)).filter(
    ({ kind }) => kind === 'segment',
  );
  const own = stored.filter(({ name }) => name === shippedThrough).map(storedAt);
  const retriedSince = Math.max(...own) - LONGEST_RETRY * 1_000;
  const before = stored.find(
    (one) =>
      storedAt(one) > known &&
      (one.name > shippedThrough || (one.name === shippedThrough && storedAt(one) < retriedSince)),
  );
  if (before === undefined) return status;
  const why = `${before.name} was in the store already, of ${before.storedAt.toISOString()}: this server went back to an earlier state of its disk`;
  return withGap(status, why, now);
}

function storedAt(one: { readonly storedAt: Date }): number {
  return one.storedAt.getTime();
}
