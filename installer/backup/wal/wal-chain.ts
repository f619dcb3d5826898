import type { BackupManifest } from '../manifest.ts';
import { parseLsn, parseSegment, segmentAt, segmentName } from './segment.ts';
import type { StoredWal } from './stored-wal.ts';
import { isOnTheWay, type Timeline } from './timelines.ts';

/** The WAL that rolls a base backup forward, without a hole. */
export interface WalChain {
  /** In their order; several objects may hold the same segment, each of them as good, the first the one stored last. */
  readonly segments: readonly (readonly [StoredWal, ...StoredWal[]])[];
  /** The beginning of the segment after the last. */
  readonly partial?: StoredWal;
  readonly histories: readonly StoredWal[];
  /** Position at which it ends at the latest. */
  readonly endLsn: number;
  /** When the store got the last of it; undefined when there is nothing. */
  readonly storedUntil?: Date;
  /** The first segment that is missing although there are later ones of its timeline or of a newer one. */
  readonly missing?: string;
}

/** Follows the WAL from where a base backup begins to the end of a timeline, or to its first hole. */
export function walChain(
  all: readonly StoredWal[],
  base: NonNullable<BackupManifest['base']>,
  to: Timeline,
): WalChain {
  const { segmentBytes } = base;
  const stored = walTo(all, to, segmentBytes);
  const whole = byPosition(stored, 'segment', segmentBytes);
  const begun = byPosition(stored, 'partial', segmentBytes);
  const timelines = timelinesOf(stored, segmentBytes).filter((one) => one >= base.timeline);
  let timeline = base.timeline;
  let index = segmentAt(parseLsn(base.startLsn), segmentBytes);
  const segments: [StoredWal, ...StoredWal[]][] = [];
  for (;;) {
    // The newest timeline that has it: at a branch it begins with a copy of what the older one holds.
    const next = timelines
      .filter((one) => one >= timeline)
      .findLast((one) => whole.has(position(one, index)));
    const found = next === undefined ? undefined : whole.get(position(next, index));
    if (next === undefined || found === undefined) break;
    segments.push(found);
    timeline = next;
    index += 1;
  }
  const last = timelines
    .filter((one) => one >= timeline)
    .findLast((one) => begun.has(position(one, index)));
  const partial = last === undefined ? undefined : begun.get(position(last, index))?.[0];
  // What an older timeline wrote after the branch was given up by a restore: nothing leads there any more.
  const isHole = [...whole.values(), ...begun.values()].some(([{ name }]) => {
    const later = parseSegment(name, segmentBytes);
    return later.timeline >= timeline && later.index > index;
  });
  const used = [...segments.flat(), ...(partial === undefined ? [] : [partial])];
  return {
    segments,
    ...(partial === undefined ? {} : { partial }),
    histories: stored.filter(({ kind }) => kind === 'history'),
    endLsn: (index + (partial === undefined ? 0 : 1)) * segmentBytes,
    ...(used.length === 0
      ? {}
      : { storedUntil: new Date(Math.max(...used.map(({ storedAt }) => storedAt.getTime()))) }),
    ...(isHole ? { missing: segmentName({ timeline, index }, segmentBytes) } : {}),
  };
}

/**
 * What may be read on the way to a timeline, with every history. The segment in which one was left is read as the next
 * one has it; as the old one has it only where that has stored none of its own yet.
 */
export function walTo(
  all: readonly StoredWal[],
  to: Timeline,
  segmentBytes: number,
): readonly StoredWal[] {
  const wholeOf = new Set<number>();
  const beginningOf = new Map<number, number>();
  for (const { kind, name } of all) {
    if (kind === 'history') continue;
    const { timeline, index } = parseSegment(name, segmentBytes);
    if (kind === 'segment') wholeOf.add(timeline);
    else beginningOf.set(timeline, Math.max(index, beginningOf.get(timeline) ?? 0));
  }
  const hasBegun = (timeline: number, index: number): boolean =>
    wholeOf.has(timeline) || (beginningOf.get(timeline) ?? 0) > index;
  return all.filter(
    ({ kind, name }) =>
      kind === 'history' ||
      isOnTheWay(parseSegment(name, segmentBytes), to, segmentBytes, hasBegun),
  );
}

function byPosition(
  stored: readonly StoredWal[],
  kind: 'segment' | 'partial',
  segmentBytes: number,
): Map<string, [StoredWal, ...StoredWal[]]> {
  const found = new Map<string, [StoredWal, ...StoredWal[]]>();
  for (const one of stored) {
    if (one.kind !== kind) continue;
    const { timeline, index } = parseSegment(one.name, segmentBytes);
    const same = found.get(position(timeline, index));
    if (same === undefined) found.set(position(timeline, index), [one]);
    else same.push(one);
  }
  return found;
}

function timelinesOf(stored: readonly StoredWal[], segmentBytes: number): number[] {
  const all = stored
    .filter(({ kind }) => kind !== 'history')
    .map(({ name }) => parseSegment(name, segmentBytes).timeline);
  return [...new Set(all)].sort((a, b) => a - b);
}

function position(timeline: number, index: number): string {
  return `${timeline}/${index}`;
}
