import type { CronTimes } from '../../installer/model/agent-settings.ts';
import { LONGEST_CHANGE, type ZoneOffset } from '../../installer/model/wall-clock.ts';

const MINUTE = 60_000;
const HOUR = 60 * MINUTE;
/** Every zone of the world changes its clock at a multiple of this. */
const QUARTER = 15 * MINUTE;
/** A leap day may be eight years away, around a century. */
const LONGEST_SEARCH = 8.1 * 366 * 24 * HOUR;

/** A schedule in a zone: which minutes, as instants, are its slots. */
export interface Schedule {
  readonly times: CronTimes;
  readonly firstWeekOnly?: boolean;
  readonly offset: ZoneOffset;
}

/**
 * The latest slot after `after` and not after `upTo`.
 *
 * Where clocks are put forward, a slot in the hour that does not exist comes at the first minute after
 * it. Where they are put back, a slot in the repeated hour comes in the first of the two. A job of every
 * hour follows real time instead: neither an hour without it nor two runs at once.
 */
export function latestSlot(schedule: Schedule, after: number, upTo: number): number | undefined {
  const reader = new SlotReader(schedule);
  const earliest = Math.max(after, upTo - LONGEST_SEARCH);
  for (let minute = floorTo(upTo, MINUTE); minute > earliest; minute -= MINUTE) {
    if (reader.isSlot(minute)) return minute;
    // A day that does not fit is left at once, but for the zone's own surprises around midnight.
    if (!reader.mayFitAround(minute)) minute -= 6 * HOUR - MINUTE;
  }
  return undefined;
}

/** The first slot after `after`; undefined when there is none within eight years. */
export function nextSlot(schedule: Schedule, after: number): number | undefined {
  const reader = new SlotReader(schedule);
  for (
    let minute = floorTo(after, MINUTE) + MINUTE;
    minute < after + LONGEST_SEARCH;
    minute += MINUTE
  ) {
    if (reader.isSlot(minute)) return minute;
    if (!reader.mayFitAround(minute)) minute += 6 * HOUR - MINUTE;
  }
  return undefined;
}

class SlotReader {
  readonly #schedule: Schedule;
  readonly #isHourly: boolean;
  #quarter = Number.NaN;
  #quarterOffset = 0;

  constructor(schedule: Schedule) {
    this.#schedule = schedule;
    this.#isHourly = schedule.times.hours.length === 24;
  }

  isSlot(minute: number): boolean {
    const offset = this.#offset(minute);
    const wall = minute + offset;
    if (this.#isHourly) return this.#fits(wall);
    const wallBefore = minute - MINUTE + this.#offset(minute - MINUTE);
    for (let skipped = wallBefore + MINUTE; skipped < wall; skipped += MINUTE) {
      if (this.#fits(skipped)) return true;
    }
    return this.#fits(wall) && !this.#isRepeated(minute, offset);
  }

  /** Whether any slot can lie within six hours and a half of this instant. */
  mayFitAround(minute: number): boolean {
    const reach = 6.5 * HOUR;
    const { offset } = this.#schedule;
    for (const instant of [minute - reach, minute, minute + reach]) {
      if (this.#dayFits(new Date(instant + offset(instant)))) return true;
      // A day that the zone leaves out as a whole has to be looked at minute by minute.
      if (Math.abs(offset(instant) - offset(instant - reach)) > LONGEST_CHANGE) return true;
    }
    return false;
  }

  /** The same wall time was there before the clocks were put back. */
  #isRepeated(minute: number, offset: number): boolean {
    const former = this.#schedule.offset(minute - LONGEST_CHANGE);
    return former > offset && this.#schedule.offset(minute - (former - offset)) === former;
  }

  #fits(wall: number): boolean {
    const { minutes, hours } = this.#schedule.times;
    const date = new Date(wall);
    return (
      minutes.includes(date.getUTCMinutes()) &&
      hours.includes(date.getUTCHours()) &&
      this.#dayFits(date)
    );
  }

  #dayFits(date: Date): boolean {
    const { days, months, weekdays, eitherDay } = this.#schedule.times;
    if (!months.includes(date.getUTCMonth() + 1)) return false;
    if (this.#schedule.firstWeekOnly === true && date.getUTCDate() > 7) return false;
    const day = days.includes(date.getUTCDate());
    const weekday = weekdays.includes(date.getUTCDay());
    return eitherDay ? day || weekday : day && weekday;
  }

  #offset(instant: number): number {
    const quarter = floorTo(instant, QUARTER);
    if (quarter !== this.#quarter) {
      this.#quarter = quarter;
      this.#quarterOffset = this.#schedule.offset(quarter);
    }
    return this.#quarterOffset;
  }
}

function floorTo(value: number, step: number): number {
  return Math.floor(value / step) * step;
}

/**
 * The offset of this process' own zone, which `TZ` sets. `Intl` would do for any zone and cost 9 MB.
 */
export const processOffset: ZoneOffset = (instant) =>
  -new Date(instant).getTimezoneOffset() * MINUTE;
