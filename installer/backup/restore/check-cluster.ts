import { AppError } from '../../errors.ts';
import { type PostgresServer, queryJson, runSql } from '../psql.ts';
import { ROWS_QUERY } from '../sources/catalog.ts';
import { checkPages } from './check-pages.ts';

export interface CheckedCluster {
  readonly databases: readonly {
    readonly name: string;
    readonly tables: number;
    readonly rows: number;
    readonly extensions: readonly string[];
  }[];
  readonly roles: number;
  /** Databases that nobody can name from outside, since their names are no UTF-8; they were not read. */
  readonly unread: readonly string[];
}

interface DatabaseName {
  readonly name: string;
  readonly bytes: number;
}

/** psql leaves out the bytes of a name that are no UTF-8. */
function isWhole({ name, bytes }: DatabaseName): boolean {
  return Buffer.byteLength(name) === bytes;
}

/**
 * Reads a recovered cluster through: each page of each table and index, each row once, and that the server has
 * the libraries of its extensions.
 * @throws AppError `restore/check-failed`, `restore/unchecked`
 */
export async function checkCluster(server: PostgresServer): Promise<CheckedCluster> {
  const all = await queryJson<DatabaseName[]>(
    server,
    'postgres',
    `SELECT json_agg(json_build_object('name', datname, 'bytes', octet_length(datname::text)) ORDER BY datname)
     FROM pg_database WHERE datallowconn AND NOT datistemplate;`,
  );
  const unread = all.filter((one) => !isWhole(one)).map(({ name }) => `${name}?`);
  const databases = [];
  for (const { name } of all.filter(isWhole)) {
    await checkPagesAlone(server, name);
    databases.push({ name, ...(await contentOf(server, name)) });
  }
  const roles = await queryJson<number>(
    server,
    'postgres',
    `SELECT count(*) FROM pg_roles WHERE rolname !~ '^pg_';`,
  );
  return { databases, roles, unread };
}

async function contentOf(
  server: PostgresServer,
  database: string,
): Promise<{ tables: number; rows: number; extensions: string[] }> {
  const lines = await runSql(server, database, ROWS_QUERY);
  const counts = lines.map((line) => (JSON.parse(line) as { rows: number }).rows);
  const { extensions, missing } = await queryJson<{ extensions: string[]; missing: string[] }>(
    server,
    database,
    `SELECT json_build_object(
       'extensions', (SELECT coalesce(json_agg(extname ORDER BY extname), '[]') FROM pg_extension),
       'missing', (SELECT coalesce(json_agg(e.extname), '[]') FROM pg_extension e
                   LEFT JOIN pg_available_extensions a ON a.name = e.extname WHERE a.name IS NULL));`,
  );
  if (missing.length > 0) {
    throw checkFailed(`${database} needs extensions that this image has not: ${missing}`);
  }
  return { tables: counts.length, rows: counts.reduce((sum, rows) => sum + rows, 0), extensions };
}

/** The extension that looks is there for the look alone. */
async function checkPagesAlone(server: PostgresServer, database: string): Promise<void> {
  const had = await queryJson<boolean>(
    server,
    database,
    `SELECT to_json(EXISTS (SELECT FROM pg_extension WHERE extname = 'amcheck'));`,
  );
  await checkPages(server, database);
  if (!had) await runSql(server, database, 'DROP EXTENSION IF EXISTS amcheck;');
}

function checkFailed(why: string): AppError {
  return new AppError({
    code: 'restore/check-failed',
    what: 'the restored cluster is damaged',
    why,
    hint: 'the live cluster was not touched; choose an earlier moment or another base: `holdfast backup list`',
  });
}
