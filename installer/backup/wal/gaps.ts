import type { WalGap, WalStatus } from '../../model/wal-status.ts';
import { parseSegment } from './segment.ts';

const REMEMBERED = 20;

/**
 * Why a segment does not follow the one before it; undefined when it does. A new timeline begins within the
 * last segment of the one before it.
 */
export function breakBetween(
  before: string,
  next: string,
  segmentBytes: number,
): string | undefined {
  const last = parseSegment(before, segmentBytes);
  const first = parseSegment(next, segmentBytes);
  const follows =
    first.timeline === last.timeline
      ? first.index === last.index + 1
      : first.timeline > last.timeline && first.index <= last.index + 1;
  return follows ? undefined : `the segment after ${before} is missing: ${next} came next`;
}

/** From here on only a new base backup helps. */
export function withGap(status: WalStatus, why: string, now: Date): WalStatus {
  const gap: WalGap = {
    noticedAt: now.toISOString(),
    ...(status.shippedThrough === undefined ? {} : { after: status.shippedThrough }),
    why,
  };
  return {
    ...status,
    baseNeededSince: now.toISOString(),
    gaps: [...status.gaps, gap].slice(-REMEMBERED),
  };
}

/**
 * In another place nothing lies that could be rolled forward by what follows.
 * @param place store and folder that WAL goes to from now on
 */
export function atPlace(status: WalStatus, place: string, now: Date): WalStatus {
  if (status.place === undefined || status.place === place) return { ...status, place };
  const { shippedThrough: _through, shippedFiles: _files, ...rest } = status;
  return { ...rest, place, baseNeededSince: now.toISOString() };
}
