import { AppError } from '../../errors.ts';
import { lsnText, parseLsn } from '../wal/segment.ts';

/** Where a recovery stops. */
export type RecoveryTarget =
  | { readonly kind: 'latest' }
  /** Everything that was committed up to this moment. */
  | { readonly kind: 'time'; readonly time: Date }
  | { readonly kind: 'lsn'; readonly lsn: number }
  /** A mark that somebody set with `pg_create_restore_point`. */
  | { readonly kind: 'name'; readonly name: string };

const FORM =
  /^(\d{4})-(\d{2})-(\d{2})[ T](\d{2}):(\d{2})(?::(\d{2})(?:\.(\d{1,3}))?)?\s*(Z|[+-]\d{2}:?\d{2}|[A-Za-z][A-Za-z0-9_+/-]*)?$/;

/**
 * `2026-11-20 14:03:00 Europe/Paris`; also `Z`, `UTC` and `+02:00`.
 * @param defaultZone IANA zone for a time that names none
 * @throws AppError `usage/restore-time`
 */
export function parseTime(text: string, defaultZone: string): Date {
  const [, year, month, day, hour, minute, second = '0', fraction = '', zone] =
    FORM.exec(text.trim()) ?? [];
  if (year === undefined) throw badTime(text, 'it is not a date with a time of day');
  const fields = [year, month, day, hour, minute, second].map(Number);
  const [y = 0, mo = 0, d = 0, h = 0, mi = 0, s = 0] = fields;
  const wall = Date.UTC(y, mo - 1, d, h, mi, s, Number(fraction.padEnd(3, '0')));
  const real = new Date(wall);
  if (real.getUTCDate() !== d || real.getUTCMonth() !== mo - 1 || h > 23 || mi > 59 || s > 59) {
    throw badTime(text, 'there is no such date or time of day');
  }
  return new Date(wall - offsetOf(text, wall, zone ?? defaultZone));
}

/** Milliseconds that the zone is ahead of UTC at this wall time. */
function offsetOf(text: string, wall: number, zone: string): number {
  if (zone === 'Z' || zone === 'z') return 0;
  const [, sign, hours, minutes] = /^([+-])(\d{2}):?(\d{2})$/.exec(zone) ?? [];
  if (sign !== undefined) {
    const size = (Number(hours) * 60 + Number(minutes)) * 60_000;
    return sign === '-' ? -size : size;
  }
  const offsets = [wall - 86_400_000, wall + 86_400_000].map((at) => zoneOffset(text, at, zone));
  const fitting = [...new Set(offsets)].filter((offset) => {
    return zoneOffset(text, wall - offset, zone) === offset;
  });
  const [only] = fitting;
  if (only !== undefined && fitting.length === 1) return only;
  const choices = [...new Set(offsets)].map((offset) => new Date(wall - offset).toISOString());
  throw badTime(
    text,
    fitting.length === 0
      ? `the clocks of ${zone} were put forward over it`
      : `the clocks of ${zone} were put back: it was there twice, as ${choices.join(' and as ')}`,
  );
}

function zoneOffset(text: string, at: number, zone: string): number {
  let format: Intl.DateTimeFormat;
  try {
    format = new Intl.DateTimeFormat('en-US', { timeZone: zone, timeZoneName: 'longOffset' });
  } catch {
    throw badTime(text, `there is no time zone ${zone}`);
  }
  const name = format.formatToParts(at).find(({ type }) => type === 'timeZoneName')?.value ?? '';
  const [, sign, hours = '0', minutes = '0'] = /^GMT(?:([+-])(\d{2}):(\d{2}))?/.exec(name) ?? [];
  const size = (Number(hours) * 60 + Number(minutes)) * 60_000;
  return sign === '-' ? -size : size;
}

/** @throws AppError `usage/restore-lsn` */
export function parseLsnTarget(text: string): number {
  try {
    return parseLsn(text);
  } catch (cause) {
    throw new AppError({
      code: 'usage/restore-lsn',
      what: `${JSON.stringify(text)} is no position in the WAL`,
      why: 'a position looks like 1/6B3A2F8, as `SELECT pg_current_wal_lsn()` shows it',
      hint: 'holdfast restore --to-lsn 1/6B3A2F8',
      cause,
    });
  }
}

/** For messages. */
export function targetText(target: RecoveryTarget): string {
  switch (target.kind) {
    case 'latest':
      return 'the end of the WAL';
    case 'time':
      return target.time.toISOString();
    case 'lsn':
      return lsnText(target.lsn);
    case 'name':
      return `the restore point ${target.name}`;
  }
}

/** The settings that make Postgres stop there. */
export function targetSettings(target: RecoveryTarget): string[] {
  switch (target.kind) {
    case 'latest':
      return [];
    case 'time':
      // Read before the server knows the names of zones: Z is one, +00 is none.
      return [
        `recovery_target_time=${target.time.toISOString().replace('T', ' ').replace('Z', '+00')}`,
      ];
    case 'lsn':
      return [`recovery_target_lsn=${lsnText(target.lsn)}`];
    case 'name':
      return [`recovery_target_name=${target.name}`];
  }
}

function badTime(text: string, why: string): AppError {
  return new AppError({
    code: 'usage/restore-time',
    what: `${JSON.stringify(text)} cannot be restored to`,
    why,
    hint: 'holdfast restore --to "2026-11-20 14:03:00 Europe/Paris"',
  });
}
