import { wallReadings, type ZoneOffset } from './wall-clock.ts';

const MINUTE = 60_000;
const DAYS = ['Sun', 'Mon', 'Tue', 'Wed', 'Thu', 'Fri', 'Sat'] as const;

/** A maintenance window of the config. Times are `HH:MM` in the zone of `timezone`. */
export interface MaintenanceWindow {
  readonly day?: 'Mon' | 'Tue' | 'Wed' | 'Thu' | 'Fri' | 'Sat' | 'Sun' | undefined;
  readonly from: string;
  readonly to: string;
  readonly every: 'daily' | 'weekly' | 'monthly';
}

/** Whether an instant lies in the window, which may cross midnight and belongs to the day that it began on. */
export function isInWindow(window: MaintenanceWindow, timezone: string, instant: Date): boolean {
  const readings = wallReadings(instant.getTime(), offsetOf(timezone));
  return readings.some((wall) => includes(window, wall));
}

function includes(window: MaintenanceWindow, wall: number): boolean {
  const from = minutesOfDay(window.from);
  const to = minutesOfDay(window.to);
  const minutes = Math.floor(wall / MINUTE) % (24 * 60);
  if (from < to) return minutes >= from && minutes < to && fits(window, wall);
  if (minutes >= from) return fits(window, wall);
  return minutes < to && fits(window, wall - 24 * 60 * MINUTE);
}

function fits({ day: wanted, every }: MaintenanceWindow, wall: number): boolean {
  if (every === 'daily') return true;
  const date = new Date(wall);
  const weekday = DAYS[date.getUTCDay()];
  if (every === 'weekly') return weekday === (wanted ?? 'Sun');
  const day = date.getUTCDate();
  return wanted === undefined ? day === 1 : weekday === wanted && day <= 7;
}

function offsetOf(timeZone: string): ZoneOffset {
  const format = new Intl.DateTimeFormat('en-US', { timeZone, timeZoneName: 'longOffset' });
  return (instant) => {
    const name = format.formatToParts(instant).find(({ type }) => type === 'timeZoneName')?.value;
    const [, sign, hours, minutes] = /^GMT([+-])(\d\d):(\d\d)/.exec(name ?? '') ?? [];
    if (sign === undefined) return 0;
    return (sign === '-' ? -1 : 1) * (Number(hours) * 60 + Number(minutes)) * MINUTE;
  };
}

/** Minutes since midnight of a time of day, `HH:MM`. */
export function minutesOfDay(time: string): number {
  const [hours = 0, minutes = 0] = time.split(':').map(Number);
  return hours * 60 + minutes;
}
