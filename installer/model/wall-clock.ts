/** What has to be added to UTC for local time at an instant, milliseconds. */
export type ZoneOffset = (instant: number) => number;

/** Clocks are put on or back by less than this, milliseconds. */
export const LONGEST_CHANGE = 3 * 3_600_000;

/**
 * What the clock on the wall shows, as milliseconds that UTC getters read. For as long as clocks were put on by,
 * there are two readings after that: also what they would show without the change. Then every time of a day
 * comes, the hour that was left out as well, and a window within it opens.
 */
export function wallReadings(instant: number, offset: ZoneOffset): readonly number[] {
  const now = offset(instant);
  const gap = now - offset(instant - LONGEST_CHANGE);
  const wasJustNow = gap > 0 && offset(instant - gap) < now;
  return wasJustNow ? [instant + now, instant + now - gap] : [instant + now];
}
