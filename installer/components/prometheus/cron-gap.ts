import { expand, firesOnEither } from '../rules/cron-times.ts';

const DAY = 86_400;
const MINUTE = 60;
/** Four years see every weekday on every date that a schedule can name but 29 February. */
const DAYS_LOOKED_AT = 4 * 366;
const START = Date.UTC(2025, 0, 1);
const MONTHS = ['jan', 'feb', 'mar', 'apr', 'may', 'jun', 'jul', 'aug', 'sep', 'oct', 'nov', 'dec'];
const WEEKDAYS = ['sun', 'mon', 'tue', 'wed', 'thu', 'fri', 'sat'];

/**
 * The longest time between two runs of a schedule, seconds. For one that skips days it is rounded up to
 * whole days.
 */
export function longestGap(cron: string): number {
  const [minutes = '*', hours = '*', dates = '*', months = '*', weekdays = '*'] = cron.split(' ');
  const days = longestDayGap(dates, months, weekdays);
  if (days > 1) return days * DAY;
  const times = expand(hours, 0, 23)
    .flatMap((hour) => expand(minutes, 0, 59).map((minute) => (hour * 60 + minute) * MINUTE))
    .sort((a, b) => a - b);
  const [first = 0] = times;
  return longestStep([...times, first + DAY]);
}

function longestDayGap(dates: string, months: string, weekdays: string): number {
  const inMonth = new Set(expand(months, 1, 12, ['', ...MONTHS]));
  const onDate = new Set(expand(dates, 1, 31));
  const onWeekday = new Set(expand(weekdays, 0, 7, WEEKDAYS).map((day) => day % 7));
  const matches = (day: Date) => {
    if (!inMonth.has(day.getUTCMonth() + 1)) return false;
    const date = onDate.has(day.getUTCDate());
    const weekday = onWeekday.has(day.getUTCDay());
    return firesOnEither(dates, weekdays) ? date || weekday : date && weekday;
  };
  const running = Array.from({ length: DAYS_LOOKED_AT }, (_, index) => index).filter((index) =>
    matches(new Date(START + index * DAY * 1000)),
  );
  return running.length < 2 ? DAYS_LOOKED_AT : longestStep(running);
}

function longestStep(sorted: readonly number[]): number {
  return Math.max(...sorted.slice(1).map((value, index) => value - (sorted[index] ?? value)));
}
