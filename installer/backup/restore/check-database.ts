import { AppError } from '../../errors.ts';
import { type PostgresServer, PsqlSession } from '../psql.ts';
import { type Catalog, EXTENSIONS_QUERY, ROWS_QUERY } from '../sources/catalog.ts';

export interface CheckedDatabase {
  readonly tables: number;
  readonly rows: number;
}

type SavedRows = Catalog['tables'][number];
type TableRows = SavedRows & { readonly rows: number };

const SHOWN = 10;

/**
 * Compares a restored database with what was counted in the very snapshot of its dump.
 * @throws AppError `restore/check-failed` with the tables that differ
 */
export async function checkDatabase(
  server: PostgresServer,
  database: string,
  catalog: Catalog,
): Promise<CheckedDatabase> {
  const { found, extensions } = await contentOf(server, database);
  const problems = [
    ...rowProblems(catalog.tables, found),
    ...catalog.extensions
      .filter(({ name }) => !extensions.some((one) => one.name === name))
      .map(({ name }) => `the extension ${name} is missing`),
  ];
  if (problems.length > 0) throw checkFailed(database, problems);
  return { tables: found.length, rows: found.reduce((sum, { rows }) => sum + rows, 0) };
}

interface Content {
  readonly found: readonly TableRows[];
  readonly extensions: Catalog['extensions'];
}

async function contentOf(server: PostgresServer, database: string): Promise<Content> {
  const session = await PsqlSession.open(server, database);
  try {
    const lines = await session.run(ROWS_QUERY);
    const extensions = (await session.run(EXTENSIONS_QUERY)).join('\n');
    return {
      found: lines.map((line) => JSON.parse(line) as TableRows),
      extensions: JSON.parse(extensions) as Catalog['extensions'],
    };
  } finally {
    await session.close();
  }
}

/** Differences between counted and restored rows, one line each. */
export function rowProblems(saved: readonly SavedRows[], found: readonly TableRows[]): string[] {
  const name = ({ schema, table }: SavedRows): string => `${schema}.${table}`;
  const restored = new Map(found.map((one) => [name(one), one.rows]));
  const known = new Set(saved.map(name));
  return [
    ...saved.flatMap((one) => {
      const rows = restored.get(name(one));
      if (rows === undefined) return [`${name(one)} is missing`];
      return one.rows === null || rows === one.rows
        ? []
        : [`${name(one)} has ${rows} rows instead of ${one.rows}`];
    }),
    ...found.filter((one) => !known.has(name(one))).map((one) => `${name(one)} was not saved`),
  ];
}

function checkFailed(database: string, problems: readonly string[]): AppError {
  const more = problems.length > SHOWN ? [`and ${problems.length - SHOWN} more`] : [];
  return new AppError({
    code: 'restore/check-failed',
    what: `the restored database ${database} is not what was saved`,
    why: [...problems.slice(0, SHOWN), ...more].join('\n'),
    hint: 'choose another backup: `holdfast backup list`',
    details: { problems },
  });
}
