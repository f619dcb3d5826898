import { AppError } from '../../errors.ts';
import type { BackupSettings } from '../../model/backup-settings.ts';
import type { BackupManifest, BackupObject } from '../manifest.ts';

/** A dump and what is known of the database that it was made of. */
export interface DatabasePair {
  readonly object: BackupObject;
  readonly catalog: BackupObject;
  readonly database: string;
}

/** Databases that the config names. */
export function namedByConfig({ jobs }: Pick<BackupSettings, 'jobs'>): string[] {
  return jobs.flatMap(({ source }) => (source.kind === 'postgres' ? source.databases : []));
}

/**
 * What of a backup shall be restored.
 * @param named by the config of now: of several the one that goes beside, whatever else there was on the server, such as
 *   what somebody restored to look at it
 * @throws AppError `usage/no-such-database`, `usage/several-databases`
 */
export function databasesOf(
  manifest: BackupManifest,
  wish: { readonly into?: string; readonly database?: string },
  named: readonly string[] = [],
): DatabasePair[] {
  const found = manifest.objects.flatMap((object) => {
    if (object.role !== 'database' || object.database === undefined) return [];
    const catalog = manifest.objects.find(
      ({ role, database }) => role === 'catalog' && database === object.database,
    );
    return catalog === undefined ? [] : [{ object, catalog, database: object.database }];
  });
  const meant = wish.database ?? (wish.into === undefined ? undefined : onlyNamed(found, named));
  const chosen = found.filter(({ database }) => meant === undefined || meant === database);
  const names = found.map(({ database }) => database).join(', ');
  if (chosen.length === 0) {
    throw new AppError({
      code: 'usage/no-such-database',
      what: `the backup ${manifest.id} has no database ${wish.database ?? ''}`.trimEnd(),
      why: `it has: ${names || 'none'}`,
      hint: 'holdfast backup list',
    });
  }
  if (wish.into !== undefined && chosen.length > 1) {
    throw new AppError({
      code: 'usage/several-databases',
      what: `--into names one database, but the backup has several`,
      why: `they are: ${names}`,
      hint: `holdfast restore ${manifest.id} --database NAME --into ${wish.into}`,
    });
  }
  return chosen;
}

function onlyNamed(found: readonly DatabasePair[], named: readonly string[]): string | undefined {
  const [first, ...more] = found.filter(({ database }) => named.includes(database));
  return more.length === 0 ? first?.database : undefined;
}
