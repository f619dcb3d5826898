import type { BackupManifest } from '../manifest.ts';
import { readSmall, type Store } from '../store/store.ts';
import { parseLsn, type Segment, segmentAt } from './segment.ts';
import type { StoredWal } from './stored-wal.ts';
import { decodeWal } from './wal-content.ts';

/** One line of what happened to a cluster: each restore and each promotion begins a new one. */
export interface Timeline {
  readonly number: number;
  /** Those that it came from and the position at which each was left; undefined when its history cannot be read. */
  readonly ancestors?: readonly Ancestor[];
  /** When it was first heard of, by the clock of the store or of a base backup; absent for the oldest. */
  readonly since?: Date;
}

interface Ancestor {
  readonly number: number;
  readonly until: number;
}

type Base = NonNullable<BackupManifest['base']>;

export interface DatedBase {
  readonly base: Pick<Base, 'timeline'>;
  readonly startedAt: Date;
}

/**
 * The timelines of a cluster, oldest first. A history that is damaged leaves its timeline without ancestors: then
 * whatever is older counts as one.
 * @throws AppError of class `store`
 */
export async function readTimelines(
  store: Store,
  wal: readonly StoredWal[],
  bases: readonly DatedBase[],
  identityFile: string,
): Promise<readonly [Timeline, ...Timeline[]]> {
  const seen = new Map<number, Date>();
  const note = (number: number, at: Date): void => {
    const known = seen.get(number);
    if (known === undefined || at < known) seen.set(number, at);
  };
  const ancestors = new Map<number, readonly Ancestor[] | undefined>();
  for (const object of wal) {
    note(timelineOf(object), object.storedAt);
    if (object.kind !== 'history') continue;
    ancestors.set(timelineOf(object), await historyOf(store, object, identityFile));
  }
  for (const { base, startedAt } of bases) note(base.timeline, startedAt);
  const [first = 1, ...later] = [...seen.keys()].sort((a, b) => a - b);
  const timeline = (number: number): Timeline => {
    const known = number === 1 ? [] : ancestors.get(number);
    return { number, ...(known === undefined ? {} : { ancestors: known }) };
  };
  const since = (number: number) => ({ since: seen.get(number) ?? new Date(0) });
  return [timeline(first), ...later.map((number) => ({ ...timeline(number), ...since(number) }))];
}

/** The first eight digits of every name. */
function timelineOf({ name }: StoredWal): number {
  return Number.parseInt(name.slice(0, 8), 16);
}

async function historyOf(
  store: Store,
  { key, encrypted }: StoredWal,
  identityFile: string,
): Promise<readonly Ancestor[] | undefined> {
  const stored = await readSmall(store, key);
  if (stored === undefined) return undefined;
  try {
    const content = await decodeWal(stored, encrypted ? identityFile : undefined);
    return parseHistory(content.toString('utf8'));
  } catch {
    // Damaged, or the key is another one, which the base backup tells better.
    return undefined;
  }
}

/**
 * `timeline, tab, position where it was left, tab, reason`, a line each, and comments after `#`: `readTimeLineHistory`
 * of Postgres' timeline.c.
 * @throws RangeError
 */
export function parseHistory(text: string): Ancestor[] {
  return text
    .split('\n')
    .map((line) => line.trim())
    .filter((line) => line !== '' && !line.startsWith('#'))
    .map((line) => {
      const [number = '', position = ''] = line.split(/\s+/);
      if (!/^[1-9]\d*$/.test(number)) throw new RangeError(`not a timeline: ${number}`);
      return { number: Number(number), until: parseLsn(position) };
    });
}

/** The one that the server lived on at that moment. */
export function timelineAt(timelines: readonly [Timeline, ...Timeline[]], moment: Date): Timeline {
  return timelines.findLast(({ since }) => since !== undefined && since <= moment) ?? timelines[0];
}

/** Whether a base backup can be rolled forward on a timeline: all of it was written before that one was begun. */
export function leadsTo({ timeline, stopLsn }: Base, { number, ancestors }: Timeline): boolean {
  if (timeline === number) return true;
  if (ancestors === undefined) return timeline < number;
  return ancestors.some((one) => one.number === timeline && parseLsn(stopLsn) <= one.until);
}

/**
 * Whether a segment is on the way to a timeline, or on it.
 * @param begun timelines of which whole segments are known
 */
export function isOnTheWay(
  { timeline, index }: Segment,
  { number, ancestors }: Timeline,
  segmentBytes: number,
  begun: ReadonlySet<number>,
): boolean {
  if (timeline === number) return true;
  if (ancestors === undefined) return timeline < number;
  const at = ancestors.findIndex((one) => one.number === timeline);
  const ancestor = ancestors[at];
  if (ancestor === undefined) return false;
  const left = segmentAt(ancestor.until, segmentBytes);
  return index < left || (index === left && !begun.has(ancestors[at + 1]?.number ?? number));
}
