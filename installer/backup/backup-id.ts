import { randomBytes } from 'node:crypto';

const FORM = /^(\d{4})(\d{2})(\d{2})T(\d{2})(\d{2})(\d{2})Z-[0-9a-f]{6}$/;

/** A name that sorts by time and that two machines do not give twice: `20261121T020000Z-3f9a1c`. */
export function newBackupId(now: Date): string {
  const stamp = now.toISOString().replace(/\.\d+/, '').replaceAll(/[-:]/g, '');
  return `${stamp}-${randomBytes(3).toString('hex')}`;
}

/** The UTC time in an id, or undefined when the text is no id. */
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
