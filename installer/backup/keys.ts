import type { BackupJob } from '../model/backup-settings.ts';
import { backupIdTime } from './backup-id.ts';

export const MANIFEST_NAME = 'manifest.json';
export const VERIFIED_NAME = 'verified.json';
/** Written before anything else, so that a later run knows whose leftovers it sees. */
export const RUN_MARKER_NAME = 'run.json';

/** `<prefix>/<project>/`: everything that one project keeps in a store. */
export function projectPrefix(settings: {
  readonly prefix: string;
  readonly project: string;
}): string {
  return settings.prefix === ''
    ? `${settings.project}/`
    : `${settings.prefix}/${settings.project}/`;
}

/** The job whose name the backups of this one bear: copies lie as what they are copied from. */
export function madeBy({ name, source }: Pick<BackupJob, 'name' | 'source'>): string {
  return source.kind === 'backup' ? source.name : name;
}

/** `<prefix>/<project>/<job>/` */
export function jobPrefix(
  settings: { readonly prefix: string; readonly project: string },
  job: string,
): string {
  return `${projectPrefix(settings)}${job}/`;
}

/** `<prefix>/<project>/<job>/<id>/` */
export function backupPrefix(
  settings: { readonly prefix: string; readonly project: string },
  job: string,
  id: string,
): string {
  return `${jobPrefix(settings, job)}${id}/`;
}

export interface KeyParts {
  readonly id: string;
  readonly name: string;
}

/** Splits a key below a job's prefix; undefined when it is nothing of ours. */
export function parseKey(prefix: string, key: string): KeyParts | undefined {
  if (!key.startsWith(prefix)) return undefined;
  const [id, name, ...more] = key.slice(prefix.length).split('/');
  if (id === undefined || name === undefined || name === '' || more.length > 0) return undefined;
  return backupIdTime(id) === undefined ? undefined : { id, name };
}

/** A database or volume name as part of an object name; unusual ones in hex, so that every store takes them. */
export function objectNamePart(name: string): string {
  return /^[A-Za-z0-9_][A-Za-z0-9_.-]{0,99}$/.test(name)
    ? name
    : `x-${Buffer.from(name, 'utf8').toString('hex')}`;
}
