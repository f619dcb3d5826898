import type { BackupManifest } from '../manifest.ts';
import { readSmall, type Store } from '../store/store.ts';
import { parseLsn, type Segment, segmentAt, timelineOf } from './segment.ts';
import type { StoredWal } from './stored-wal.ts';
import { decodeWal } from './wal-content.ts';

/** One line of what happened to a cluster: each restore and each promotion begins a new one. */
export interface Timeline {
  readonly number: number;
  /** Those that it came from and the position at which each was left; undefined when its history cannot be read. */
  readonly ancestors?: readonly Ancestor[];
  /**
   * When the server began to live on it, by the server's clock as its history tells it; else when it was first heard of,
   * by the clock of the store or of a base backup. Absent for the oldest.
   */
  readonly since?: Date;
}

interface History {
  readonly ancestors: readonly Ancestor[];
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
  const histories = new Map<number, History>();
  for (const object of wal) {
    const number = timelineOf(object.name);
    note(number, object.storedAt);
    if (object.kind !== 'history') continue;
    const history = await historyOf(store, object, identityFile);
    if (history !== undefined) histories.set(number, history);
  }
  for (const { base, startedAt } of bases) note(base.timeline, startedAt);
  const [first = 1, ...later] = [...seen.keys()].sort((a, b) => a - b);
  const timeline = (number: number): Timeline => {
    const known = number === 1 ? [] : histories.get(number)?.ancestors;
    return { number, ...(known === undefined ? {} : { ancestors: known }) };
  };
  const since = (number: number) => ({
    since: histories.get(number)?.since ?? seen.get(number) ?? new Date(0),
  });
  return [timeline(first), ...later.map((number) => ({ ...timeline(number), ...since(number) }))];
}

async function historyOf(
  store: Store,
  { key, encrypted }: StoredWal,
  identityFile: string,
): Promise<History | undefined> {
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
export function parseHistory(text: string): History {
  const [, since] = SINCE.exec(text) ?? [];
  const ancestors = text
    .split('\n')
    .map((line) => line.trim())
    .filter((line) => line !== '' && !line.startsWith('#'))
    .map((line) => {
      const [number = '', position = ''] = line.split(/\s+/);
      if (!/^[1-9]\d*$/.test(number)) throw new RangeError(`not a timeline: ${number}`);
      return { number: Number(number), until: parseLsn(position) };
    });
  return { ancestors, ...(since === undefined ? {} : { since: new Date(since) }) };
}

const SINCE = /^# live since (\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z)$/m;

/** A history that tells when the server began to live on its timeline: a comment to Postgres. */
export function withSince(content: Uint8Array, since: string): Buffer {
  return Buffer.concat([content, Buffer.from(`\n# live since ${since}\n`)]);
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
 * @param hasBegun whether a timeline has something of its own that is whole, or that lies after a segment
 */
export function isOnTheWay(
  { timeline, index }: Segment,
  { number, ancestors }: Timeline,
  segmentBytes: number,
  hasBegun: (timeline: number, index: number) => boolean,
): boolean {
  if (timeline === number) return true;
  if (ancestors === undefined) return timeline < number;
  const at = ancestors.findIndex((one) => one.number === timeline);
  const ancestor = ancestors[at];
  if (ancestor === undefined) return false;
  const left = segmentAt(ancestor.until, segmentBytes);
  return index < left || (index === left && !hasBegun(ancestors[at + 1]?.number ?? number, left));
}
