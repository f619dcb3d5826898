import { minutesOfDay } from '../../model/maintenance-window.ts';

/** Where a valid five-field schedule falls within a day and a week; the day of the month is left open. */

interface DailyWindow {
  /** `HH:MM`. */
  readonly from: string;
  /** `HH:MM`; before `from` when the window goes over midnight. The end itself is outside. */
  readonly to: string;
  /** 0 is Sunday; undefined is every day. The day on which the window opens. */
  readonly days: readonly number[] | undefined;
}

const WEEKDAYS = ['sun', 'mon', 'tue', 'wed', 'thu', 'fri', 'sat'];

/** Whether the schedule can fire while the window is open. */
export function cronHits(cron: string, window: DailyWindow): boolean {
  const [minutes = '*', hours = '*', dates = '*', , weekdays = '*'] = cron.split(' ');
  const from = minutesOfDay(window.from);
  const to = minutesOfDay(window.to);
  const anyDay = weekdays === '*' || firesOnEither(dates, weekdays);
  const fires = anyDay ? undefined : expand(weekdays, 0, 7, WEEKDAYS).map((day) => day % 7);
  return expand(hours, 0, 23).some((hour) =>
    expand(minutes, 0, 59).some((minute) => {
      const time = hour * 60 + minute;
      const overMidnight = to <= from;
      const inside = overMidnight ? time >= from || time < to : time >= from && time < to;
      if (!inside) return false;
      if (fires === undefined || window.days === undefined) return true;
      const openedYesterday = overMidnight && time < to;
      return window.days.some((day) => fires.includes(openedYesterday ? (day + 1) % 7 : day));
    }),
  );
}

/** With both days given cron fires on either; a field that begins with a star, with a step too, is none given: as cron(8). */
export function firesOnEither(dates: string, weekdays: string): boolean {
  return !dates.startsWith('*') && !weekdays.startsWith('*');
}

/** The values that one field of a schedule names. */
export function expand(
  field: string,
  from: number,
  to: number,
  names: readonly string[] = [],
): number[] {
  const number = (word: string) => {
    const named = names.indexOf(word.toLowerCase());
    return named >= 0 ? named : Number(word);
  };
  return field.split(',').flatMap((part) => {
    const [range = '*', step = '1'] = part.split('/');
    const [low, high = low] = range === '*' ? [from, to] : range.split('-').map(number);
    const values: number[] = [];
    for (let value = low ?? from; value <= (high ?? to); value += Number(step)) values.push(value);
    return values;
  });
}
