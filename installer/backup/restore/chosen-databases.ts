import { AppError } from '../../errors.ts';
import type { BackupManifest, BackupObject } from '../manifest.ts';

/** A dump and what is known of the database that it was made of. */
export interface DatabasePair {
  readonly object: BackupObject;
  readonly catalog: BackupObject;
  readonly database: string;
}

/**
 * What of a backup shall be restored.
 * @throws AppError `usage/no-such-database`, `usage/several-databases`
 */
export function databasesOf(
  manifest: BackupManifest,
  wish: { readonly into?: string; readonly database?: string },
): DatabasePair[] {
  const found = manifest.objects.flatMap((object) => {
    if (object.role !== 'database' || object.database === undefined) return [];
    const catalog = manifest.objects.find(
      ({ role, database }) => role === 'catalog' && database === object.database,
    );
    return catalog === undefined ? [] : [{ object, catalog, database: object.database }];
  });
  const meant = wish.database ?? (wish.into === undefined ? undefined : onlyNamed(manifest, found));
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

/** The one that the config named, whatever else there was on the server: what somebody restored to look at it, say. */
function onlyNamed({ source }: BackupManifest, found: readonly DatabasePair[]): string | undefined {
  const named = source.kind === 'postgres' ? source.databases : [];
  const [first, ...more] = found.filter(({ database }) => named.includes(database));
  return more.length === 0 ? first?.database : undefined;
}
