import type { Standing } from './standing.ts';

/** Restarts of one container by us. */
export interface RestartCount {
  readonly count: number;
  /** Milliseconds since the epoch. */
  readonly lastAt: number;
}

export interface RestartCandidate {
  readonly service: string;
  readonly id: string;
  readonly standing: Standing;
  readonly isServing: boolean;
  readonly restarts: RestartCount | undefined;
  /** When it was last seen to start, by whomever; milliseconds since the epoch. */
  readonly startedAt: number | undefined;
}

const SECOND = 1_000;
/** A replica gets this long to get well by itself, or to start up; after each restart by us twice as long. */
const PATIENCE = 60 * SECOND;
/** The others of a service wait for one that was restarted no longer than this many doublings: it may be past help. */
const MOST_DOUBLINGS_FOR_OTHERS = 3;
/** Between two restarts on the machine, whosever they are: a start takes processor from everybody. */
const APART = 30 * SECOND;
/** Then restarting does not help, and a person has to look. */
export const MOST_RESTARTS = 5;
/** After so long the count begins anew. */
const FORGOTTEN_AFTER = 6 * 3_600 * SECOND;

/**
 * The one replica to restart now, if any. One at a time on the whole machine; in a service, the next one only
 * when the one before is well or had as long as it gets itself; each waits twice as long as before, and five times are
 * enough. A container that does not run is left to the engine, which starts it again itself.
 */
export function nextRestart(
  candidates: readonly RestartCandidate[],
  now: number,
): RestartCandidate | undefined {
  if (candidates.some(({ restarts }) => restarts !== undefined && now - restarts.lastAt < APART)) {
    return undefined;
  }
  const due = candidates.filter(
    (candidate) => isDue(candidate, now) && !othersRecover(candidate, candidates, now),
  );
  const countOf = ({ restarts }: RestartCandidate): number => remembered(restarts, now)?.count ?? 0;
  // Each has its turn. Whoever serves, even badly, comes after those that serve nobody; then the longest sick.
  return due.toSorted(
    (left, right) =>
      countOf(left) - countOf(right) ||
      Number(left.isServing) - Number(right.isServing) ||
      left.standing.since - right.standing.since,
  )[0];
}

type Times = Pick<RestartCandidate, 'standing' | 'restarts' | 'startedAt'>;

/** A time to come is one of a clock that was set back: from here on it counts as now. */
export function withoutFuture({ standing, restarts, startedAt }: Times, now: number): Times {
  return {
    startedAt: startedAt && Math.min(startedAt, now),
    standing: { ...standing, since: Math.min(standing.since, now) },
    restarts: restarts && { ...restarts, lastAt: Math.min(restarts.lastAt, now) },
  };
}

/** Whether it was restarted so often that it is left alone. */
export function isGivenUp(restarts: RestartCount | undefined, now: number): boolean {
  const known = remembered(restarts, now);
  return known !== undefined && known.count >= MOST_RESTARTS;
}

export function countRestart(restarts: RestartCount | undefined, now: number): RestartCount {
  return { count: (remembered(restarts, now)?.count ?? 0) + 1, lastAt: now };
}

function isDue({ standing, restarts, startedAt = 0 }: RestartCandidate, now: number): boolean {
  if (standing.verdict !== 'sick' || standing.stopped) return false;
  if (isGivenUp(restarts, now)) return false;
  const known = remembered(restarts, now);
  const from = Math.max(standing.since, startedAt, known?.lastAt ?? 0);
  return now - from >= PATIENCE * 2 ** (known?.count ?? 0);
}

function othersRecover(
  { service, id }: RestartCandidate,
  candidates: readonly RestartCandidate[],
  now: number,
): boolean {
  return candidates.some(
    (other) =>
      other.service === service &&
      other.id !== id &&
      other.standing.verdict === 'sick' &&
      other.restarts !== undefined &&
      now - other.restarts.lastAt <
        PATIENCE * 2 ** Math.min(other.restarts.count, MOST_DOUBLINGS_FOR_OTHERS),
  );
}

function remembered(restarts: RestartCount | undefined, now: number): RestartCount | undefined {
  return restarts !== undefined && now - restarts.lastAt < FORGOTTEN_AFTER ? restarts : undefined;
}
