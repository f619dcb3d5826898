/**
 * A time zone where it was between ten and eleven when this process began. What a config does by the clock unless told
 * otherwise, such as backups from one o'clock, updates at five, and the closing of a window at midnight, is far off
 * there, whenever the tests run. The hourly look at certificates is not. The same all along, so that a config that is
 * written twice is the same, too.
 */
export const QUIET_ZONE: string = zoneWhereItIsTen(new Date());

function zoneWhereItIsTen(now: Date): string {
  const ahead = ((10 - now.getUTCHours() + 36) % 24) - 12;
  // The sign in these names is that of the way to Greenwich.
  return `Etc/GMT${ahead > 0 ? '-' : '+'}${Math.abs(ahead)}`;
}
