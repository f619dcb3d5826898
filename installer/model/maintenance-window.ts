/** A maintenance window of the config. Times are `HH:MM` in the zone of `timezone`. */
export interface MaintenanceWindow {
  readonly day?: 'Mon' | 'Tue' | 'Wed' | 'Thu' | 'Fri' | 'Sat' | 'Sun' | undefined;
  readonly from: string;
  readonly to: string;
  readonly every: 'daily' | 'weekly' | 'monthly';
}

/** Whether an instant lies in the window, which may cross midnight and belongs to the day that it began on. */
export function isInWindow(window: MaintenanceWindow, timezone: string, instant: Date): boolean {
  const { weekday, day, minutes } = localTime(timezone, instant);
  const from = minutesOfDay(window.from);
  const to = minutesOfDay(window.to);
  if (from < to) return minutes >= from && minutes < to && fits(window, weekday, day);
  if (minutes >= from) return fits(window, weekday, day);
  if (minutes >= to) return false;
  const yesterday = localTime(timezone, new Date(instant.getTime() - 24 * 3_600_000));
  return fits(window, yesterday.weekday, yesterday.day);
}

function fits({ day: wanted, every }: MaintenanceWindow, weekday: string, day: number): boolean {
  if (every === 'daily') return true;
  if (every === 'weekly') return weekday === (wanted ?? 'Sun');
  return wanted === undefined ? day === 1 : weekday === wanted && day <= 7;
}

function localTime(timeZone: string, instant: Date) {
  const parts = new Intl.DateTimeFormat('en-GB', {
    timeZone,
    weekday: 'short',
    day: 'numeric',
    hour: '2-digit',
    minute: '2-digit',
    hourCycle: 'h23',
  }).formatToParts(instant);
  const part = (type: string): string => parts.find((one) => one.type === type)?.value ?? '';
  return {
    weekday: part('weekday'),
    day: Number(part('day')),
    minutes: Number(part('hour')) * 60 + Number(part('minute')),
  };
}

/** Minutes since midnight of a time of day, `HH:MM`. */
export function minutesOfDay(time: string): number {
  const [hours = 0, minutes = 0] = time.split(':').map(Number);
  return hours * 60 + minutes;
}
