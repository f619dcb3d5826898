import { parseSegment, type Segment } from './segment.ts';
import type { StoredWal } from './stored-wal.ts';

/** A position that was written again after the machine had gone back. */
export interface Rewritten extends Segment {
  /** When what counts was stored. */
  readonly at: Date;
  /** When what was given up was stored. */
  readonly givenUpAt: Date;
}

export interface CurrentWal {
  /** Without what was given up. Of one position the object that was stored last comes first. */
  readonly wal: readonly StoredWal[];
  readonly rewritten: readonly Rewritten[];
}

/** What is stored of one segment, each kind with the newest first. */
interface Position extends Segment {
  readonly whole: StoredWal[];
  readonly begun: StoredWal[];
}

/**
 * A machine that was put back to a snapshot of its disk, or is a clone, writes the same names again with other
 * content. What counts then is what was stored last, and what was stored before it further on was given up: Postgres
 * would follow that as if it were true. The order in time counts only where a position was stored more than once and
 * nothing further on is newer: a bucket that somebody copied has other times, and a retry stores a segment twice, as each
 * encryption of the same content gives other bytes.
 */
export function currentWal(all: readonly StoredWal[], segmentBytes: number): CurrentWal {
  const wal = all.filter(({ kind }) => kind === 'history');
  const rewritten: Rewritten[] = [];
  for (const positions of positionsOf(all, segmentBytes)) {
    const kept = withoutGivenUp(positions);
    wal.push(...kept.wal);
    rewritten.push(...kept.rewritten);
  }
  return { wal, rewritten };
}

function withoutGivenUp(positions: readonly Position[]): CurrentWal {
  const kept = positions.map((one) => ({ one, wal: sameHistory(positions, one) }));
  const end = endOfNewest(positions);
  const last = kept[end];
  if (last !== undefined) {
    const endAt = newestAt(last.one);
    if (newestOf(last.one.whole) < endAt) last.wal = last.one.begun;
    for (const later of kept.slice(end + 1))
      later.wal = later.one.begun.filter(({ storedAt }) => storedAt.getTime() >= endAt);
  }
  const upToEnd = kept.slice(0, end === -1 ? undefined : end + 1);
  return {
    wal: kept.flatMap(({ wal }) => wal),
    rewritten: upToEnd.flatMap(({ one, wal }) => rewrittenBy(wal, one)),
  };
}

function rewrittenBy(kept: readonly StoredWal[], one: Position): Rewritten[] {
  const { timeline, index } = one;
  const [newest] = one.whole.filter((object) => !kept.includes(object));
  if (newest === undefined) return [];
  return [{ timeline, index, at: new Date(newestAt(one)), givenUpAt: newest.storedAt }];
}

/** Index of the position after which nothing whole is newer, although something is there again; -1 for none. */
function endOfNewest(positions: readonly Position[]): number {
  let laterAt = Number.NEGATIVE_INFINITY;
  let end = -1;
  for (const [at, one] of [...positions.entries()].toReversed()) {
    if (isRepeated(one) && newestAt(one) > laterAt) end = at;
    laterAt = Math.max(laterAt, newestOf(one.whole));
  }
  return end;
}

function isRepeated({ whole, begun }: Position): boolean {
  return whole.length > 1 || (whole.length === 1 && newestOf(begun) > newestOf(whole));
}

/** One that was stored again before any other was is a retry: it holds the same, and is as good where the newer one is damaged. */
function sameHistory(positions: readonly Position[], { whole, begun }: Position): StoredWal[] {
  if (whole.length < 2) return [...whole, ...begun];
  const newest = newestOf(whole);
  const isSame = ({ storedAt }: StoredWal): boolean =>
    !positions.some((one) =>
      one.whole.some(
        (between) => between.storedAt > storedAt && between.storedAt.getTime() < newest,
      ),
    );
  return [...whole.filter(isSame), ...begun];
}

function newestAt({ whole, begun }: Pick<Position, 'whole' | 'begun'>): number {
  return Math.max(newestOf(whole), newestOf(begun));
}

/** Milliseconds since the epoch. @param stored the newest first */
function newestOf([newest]: readonly StoredWal[]): number {
  return newest?.storedAt.getTime() ?? Number.NEGATIVE_INFINITY;
}

/** Of each timeline, by position. */
function positionsOf(all: readonly StoredWal[], segmentBytes: number): Position[][] {
  const found = new Map<string, Position>();
  for (const one of all.toSorted((a, b) => b.storedAt.getTime() - a.storedAt.getTime())) {
    if (one.kind === 'history') continue;
    const known = found.get(one.name);
    const position = known ?? { ...parseSegment(one.name, segmentBytes), whole: [], begun: [] };
    if (known === undefined) found.set(one.name, position);
    (one.kind === 'segment' ? position.whole : position.begun).push(one);
  }
  const timelines = Map.groupBy(found.values(), ({ timeline }) => timeline);
  return [...timelines.values()].map((some) => some.toSorted((a, b) => a.index - b.index));
}
