import { isOfRestore, MAINTENANCE_DATABASE } from '../restore/database-names.ts';

export interface ExistingDatabase {
  readonly name: string;
  /** Of the name, as the server counts it. */
  readonly bytes: number;
  /** Why it is not dumped: for a person. */
  readonly obstacle?: string | null;
}

export interface Unnamed {
  /** Dumped beside those that the config names. */
  readonly saved: readonly string[];
  /** Their names are no UTF-8, so nobody can ask for them from outside. */
  readonly unsaved: readonly string[];
  /** Each with the reason why it is not dumped. */
  readonly refused: readonly string[];
}

/**
 * For SQL: databases that somebody made, as {@link ExistingDatabase}s. Run in `postgres`, which counts when a table of
 * the user lies in it. A limit of -2 marks what a cut DROP DATABASE has left.
 */
export const EXISTING_QUERY = `
  SELECT coalesce(json_agg(json_build_object('name', datname, 'bytes', octet_length(datname::text),
    'obstacle', CASE WHEN NOT datallowconn THEN 'takes no connections' WHEN datistemplate THEN 'is a template' END) ORDER BY datname), '[]')
  FROM pg_database
  WHERE datname NOT IN ('template0', 'template1') AND datconnlimit <> -2
    AND (datname <> '${MAINTENANCE_DATABASE}' OR EXISTS (
      SELECT FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
      WHERE c.relkind IN ('r', 'p', 'm') AND n.nspname !~ '^(pg_|information_schema$|holdfast$)'
        AND NOT EXISTS (SELECT FROM pg_depend d
                        WHERE d.classid = 'pg_class'::regclass AND d.objid = c.oid AND d.deptype = 'e')))`;

/** What a server has beyond the databases of the config; what restores keep or are at work on is left out. */
export function unnamedDatabases(
  existing: readonly ExistingDatabase[],
  named: readonly string[],
): Unnamed {
  const others = existing.filter(({ name }) => !named.includes(name) && !isOfRestore(name));
  const isWhole = ({ name, bytes }: ExistingDatabase) => Buffer.byteLength(name) === bytes;
  const isFree = ({ obstacle }: ExistingDatabase) => obstacle === undefined || obstacle === null;
  return {
    saved: others.filter((one) => isWhole(one) && isFree(one)).map(({ name }) => name),
    unsaved: others.filter((one) => !isWhole(one)).map(({ name }) => `${name}?`),
    refused: others.flatMap((one) =>
      isWhole(one) && !isFree(one) ? [`${one.name} (${one.obstacle})`] : [],
    ),
  };
}
