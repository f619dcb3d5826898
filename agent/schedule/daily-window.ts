import type { DailyWindow } from '../../installer/model/agent-settings.ts';
import { wallReadings, type ZoneOffset } from '../../installer/model/wall-clock.ts';

const MINUTE = 60_000;
const DAY_MINUTES = 24 * 60;

/** Whether an instant lies in a window of every day. One that ends before it begins goes over midnight. */
export function isOpen(window: DailyWindow, instant: number, offset: ZoneOffset): boolean {
  return sinceOpening(window, instant, offset) < windowMinutes(window);
}

/** The instant at which the window opens next after one at which it is closed. */
export function nextOpening(window: DailyWindow, instant: number, offset: ZoneOffset): number {
  const minute = Math.floor(instant / MINUTE) * MINUTE;
  const opening = minute + (DAY_MINUTES - sinceOpening(window, instant, offset)) * MINUTE;
  // The clocks may be put on or back in between; what they leave out counts by the clock before.
  const onTheWall = opening + offset(instant) - offset(opening);
  return isOpen(window, onTheWall, offset) ? onTheWall : opening;
}

/** When the window opened that is open at this instant. */
export function openedAt(window: DailyWindow, instant: number, offset: ZoneOffset): number {
  const minute = Math.floor(instant / MINUTE) * MINUTE;
  return minute - sinceOpening(window, instant, offset) * MINUTE;
}

/** Minutes on the wall since the window opened last. */
function sinceOpening({ from }: DailyWindow, instant: number, offset: ZoneOffset): number {
  const minutes = wallReadings(instant, offset).map((wall) => {
    const time = Math.floor(wall / MINUTE) % DAY_MINUTES;
    return (time - from + DAY_MINUTES) % DAY_MINUTES;
  });
  return Math.min(...minutes);
}

/** How long it is open each day. */
export function windowMinutes({ from, to }: DailyWindow): number {
  return (to - from + DAY_MINUTES) % DAY_MINUTES;
}
