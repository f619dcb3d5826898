import { randomInt } from 'node:crypto';

const FORM = /^(\d{4})(\d{2})(\d{2})T(\d{2})(\d{2})(\d{2})Z-[0-9a-f]{6}$/;

/**
 * A name that sorts by time and that two machines do not give twice: `20261121T020000Z-012f9a`. The first three
 * digits after the hyphen are the millisecond, since two backups may be made within one second and the newer one is
 * the one that counts; the rest is chance.
 */
export function newBackupId(now: Date): string {
  const stamp = now.toISOString().replace(/\.\d+/, '').replaceAll(/[-:]/g, '');
  const millisecond = now.getUTCMilliseconds().toString(16).padStart(3, '0');
  return `${stamp}-${millisecond}${randomInt(16 ** 3)
    .toString(16)
    .padStart(3, '0')}`;
}

/** The UTC time in an id, to the second, or undefined when the text is no id. */
export function backupIdTime(id: string): Date | undefined {
  const [, year, month, day, hour, minute, second] = FORM.exec(id) ?? [];
  if (year === undefined) return undefined;
  const time = new Date(`${year}-${month}-${day}T${hour}:${minute}:${second}Z`);
  return Number.isNaN(time.getTime()) ? undefined : time;
}

/** The id as a part of a database, volume or container name: lower case, no hyphen. */
export function idSuffix(id: string): string {
  return id.toLowerCase().replaceAll('-', '_');
}
