import { AppError } from '../../errors.ts';
import type { BackupSource } from '../../model/backup-settings.ts';
import type { Report } from '../../model/events.ts';
import { containerProgram } from '../container-pipe.ts';
import { objectNamePart } from '../keys.ts';
import {
  connectionTo,
  endEarlierSessions,
  isShortOfLocks,
  type PostgresServer,
  postgresDown,
  queryJson,
  sqlError,
  tooManyTables,
} from '../psql.ts';
import type { Catalog } from './catalog.ts';
import { Snapshot } from './snapshot.ts';
import type { Source, SourceContent, SourceObject } from './source.ts';
import {
  EXISTING_QUERY,
  type ExistingDatabase,
  type Unnamed,
  unnamedDatabases,
} from './unnamed-databases.ts';

const MIB = 1024 ** 2;
const SHOWN_TABLES = 5;
/** The header and table of contents of an empty database come to about 1.1 kB. */
const DUMP_FLOOR = 512;
/** `CREATE ROLE` of the superuser alone is longer. */
const GLOBALS_FLOOR = 100;
/** Of the end of what a program says 16 KiB are kept; a statement that names all tables is longer, and follows the reason. */
const FIRST_WORDS = 4_096;

interface ServerFacts {
  readonly version: string;
  readonly major: number;
  readonly systemIdentifier: string;
  /** Arguments of the build. */
  readonly configure: string;
  /** Bytes by database. */
  readonly sizes: Readonly<Record<string, number>>;
  readonly existing: readonly ExistingDatabase[];
}

/** A snapshot that is held, and what is being counted in it. */
interface Counted {
  readonly snapshot: Snapshot;
  readonly catalog: Promise<Catalog>;
}

/**
 * Each database with `pg_dump -Fc`, its row counts in the same snapshot, and the roles. Databases that the config does
 * not name are saved too and told: whoever made them by hand or for a tenant relies on it.
 */
export async function openPostgresSource(
  server: PostgresServer,
  source: Extract<BackupSource, { kind: 'postgres' }>,
  report: Report,
): Promise<Source> {
  const facts = await serverFacts(server);
  refuseMissing(server, source.databases, facts);
  const unnamed = unnamedDatabases(facts.existing, source.databases);
  tell(report, unnamed);
  const databases = [...source.databases, ...unnamed.saved];
  const compression = bestCompression(facts);
  const snapshots = new Map<string, Counted>();
  const objects = databases.flatMap((database) =>
    databaseObjects(
      { server, report, compression, snapshots },
      database,
      facts.sizes[database] ?? 0,
    ),
  );
  return {
    method: 'logical',
    server: {
      version: facts.version,
      major: facts.major,
      systemIdentifier: facts.systemIdentifier,
    },
    tools: { pg_dump: facts.version, compression },
    databases,
    objects: [...objects, globals(server)],
    close: async () => {
      for (const { snapshot } of snapshots.values()) await snapshot.abandon();
    },
  };
}

interface Dumping {
  readonly server: PostgresServer;
  readonly report: Report;
  readonly compression: string;
  readonly snapshots: Map<string, Counted>;
}

function databaseObjects(
  { server, report, compression, snapshots }: Dumping,
  database: string,
  size: number,
): SourceObject[] {
  const part = objectNamePart(database);
  return [
    {
      name: `db-${part}.dump`,
      role: 'database',
      format: 'pg-custom',
      database,
      expectedBytes: size,
      floorBytes: DUMP_FLOOR,
      content: program(server, async () => {
        const snapshot = await Snapshot.take(server, database);
        // While pg_dump compresses on one processor, another one counts.
        const catalog = snapshot.catalog();
        catalog.catch(() => undefined);
        snapshots.set(database, { snapshot, catalog });
        return {
          command: [
            'pg_dump',
            '--format=custom',
            `--compress=${compression}`,
            `--snapshot=${snapshot.id}`,
            `--dbname=${connectionTo(database)}`,
          ],
          onEnd: () => snapshot.dumpHasEnded(),
        };
      }),
    },
    {
      name: `db-${part}.catalog.json`,
      role: 'catalog',
      format: 'json',
      database,
      expectedBytes: MIB,
      floorBytes: 2,
      content: {
        kind: 'stream',
        read: async function* () {
          const counted = snapshots.get(database);
          if (counted === undefined) throw new Error(`${database} was not dumped before`);
          const catalog = await counted.catalog;
          tellUncounted(report, catalog);
          yield Buffer.from(`${JSON.stringify(catalog)}\n`, 'utf8');
          snapshots.delete(database);
          await counted.snapshot.close();
        },
      },
    },
  ];
}

function globals(server: PostgresServer): SourceObject {
  return {
    name: 'globals.sql',
    role: 'globals',
    format: 'sql',
    expectedBytes: MIB,
    floorBytes: GLOBALS_FLOOR,
    content: program(server, async () => ({
      command: ['pg_dumpall', '--globals-only', `--dbname=${connectionTo('postgres')}`],
    })),
  };
}

function program(
  server: PostgresServer,
  begin: () => Promise<{
    readonly command: [string, ...string[]];
    readonly onEnd?: () => void;
  }>,
): SourceContent {
  return {
    kind: 'program',
    prepare: async () => {
      let beginning = '';
      const { command, ...onEnd } = await begin();
      return {
        ...containerProgram(server, command),
        ...onEnd,
        onStderr: (chunk) => {
          if (beginning.length < FIRST_WORDS) beginning += chunk.toString('utf8');
        },
        failure: (exitCode, stderr) =>
          isShortOfLocks(beginning)
            ? tooManyTables(server.container)
            : dumpFailure(server, exitCode, stderr),
      };
    },
  };
}

/** 137: the kernel or a stop of the container ended it. */
function dumpFailure(server: PostgresServer, exitCode: number, stderr: string): Error {
  const why = stderr.trim() || `the program was ended from outside, exit code ${exitCode}`;
  const isGone = /is not running|no such container|cannot connect to the docker daemon/i.test(why);
  return isGone || exitCode > 128
    ? postgresDown(server.container, why)
    : sqlError(server, exitCode, stderr);
}

async function serverFacts(server: PostgresServer): Promise<ServerFacts> {
  return await queryJson<ServerFacts>(
    server,
    'postgres',
    `${endEarlierSessions(server)}
     SELECT json_build_object(
       'version', split_part(current_setting('server_version'), ' ', 1),
       'major', current_setting('server_version_num')::int / 10000,
       'systemIdentifier', (SELECT system_identifier::text FROM pg_control_system()),
       'configure', (SELECT setting FROM pg_config WHERE name = 'CONFIGURE'),
       'existing', (${EXISTING_QUERY}),
       'sizes', (SELECT json_object_agg(datname, pg_database_size(oid)) FROM pg_database
                 WHERE datallowconn));`,
  );
}

function tell(report: Report, { saved, unsaved, refused }: Unnamed): void {
  if (saved.length > 0) {
    const text = `also saved: ${saved.join(', ')}, which config.yaml does not name`;
    report({ kind: 'notice', text });
  }
  if (unsaved.length > 0) {
    const text = `not saved: ${unsaved.join(', ')}, whose names are no UTF-8; rename them`;
    report({ kind: 'warning', code: 'backup/unreadable-name', text });
  }
  if (refused.length > 0) {
    const text = `not saved: ${refused.join(', ')}; ALTER DATABASE … ALLOW_CONNECTIONS true IS_TEMPLATE false lets them be`;
    report({ kind: 'warning', code: 'backup/not-dumped', text });
  }
}

function tellUncounted(report: Report, { database, tables }: Catalog): void {
  const uncounted = tables.filter(({ rows }) => rows === null);
  if (uncounted.length === 0) return;
  const names = uncounted.slice(0, SHOWN_TABLES).map(({ schema, table }) => `${schema}.${table}`);
  const more =
    uncounted.length > names.length ? ` and ${uncounted.length - names.length} more` : '';
  report({
    kind: 'notice',
    text: `saved without a count of rows, since somebody changed them meanwhile or waited to: ${names.join(', ')}${more} in ${database.datname}`,
  });
}

function refuseMissing(
  server: PostgresServer,
  databases: readonly string[],
  { sizes }: ServerFacts,
): void {
  const missing = databases.filter((name) => sizes[name] === undefined);
  if (missing.length === 0) return;
  throw new AppError({
    code: 'backup/no-database',
    what: `Postgres in ${server.container} has no database ${missing.join(', ')}`,
    why: `it has ${Object.keys(sizes).join(', ')}`,
    hint: 'holdfast apply creates the databases of the config; `holdfast restore` brings one back',
  });
}

/**
 * zstd at level 1: on text rows 1.7 times as fast as level 3 at a size within 5 %, and 4.5 times as fast as
 * gzip (docs/decisions/backup-format.md). Before 16 pg_dump has gzip alone; after, what it was built with.
 */
function bestCompression({ major, configure }: ServerFacts): string {
  if (major < 16) return '1';
  if (configure.includes('--with-zstd')) return 'zstd:1';
  return configure.includes('--with-lz4') ? 'lz4' : 'gzip:1';
}
