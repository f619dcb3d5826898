import { AppError } from '../../errors.ts';
import type { BackupSource } from '../../model/backup-settings.ts';
import { objectNamePart } from '../keys.ts';
import {
  connectionTo,
  type PostgresServer,
  postgresExec,
  queryJson,
  runSql,
  sqlError,
} from '../psql.ts';
import type { Catalog } from './catalog.ts';
import { Snapshot } from './snapshot.ts';
import type { Source, SourceObject } from './source.ts';

const MIB = 1024 ** 2;
/** The header and table of contents of an empty database come to about 1.1 kB. */
const DUMP_FLOOR = 512;
/** `CREATE ROLE` of the superuser alone is longer. */
const GLOBALS_FLOOR = 100;

interface ServerFacts {
  readonly version: string;
  readonly major: number;
  readonly systemIdentifier: string;
  /** Bytes by database. */
  readonly sizes: Readonly<Record<string, number>>;
}

/** A snapshot that is held, and what is being counted in it. */
interface Counted {
  readonly snapshot: Snapshot;
  readonly catalog: Promise<Catalog>;
}

/** Each database with `pg_dump -Fc`, its row counts in the same snapshot, and the roles. */
export async function openPostgresSource(
  server: PostgresServer,
  { databases }: Extract<BackupSource, { kind: 'postgres' }>,
): Promise<Source> {
  await endLeftovers(server);
  const facts = await serverFacts(server);
  refuseMissing(server, databases, facts);
  const compression = await bestCompression(server, facts.major);
  const snapshots = new Map<string, Counted>();
  const objects = databases.flatMap((database) =>
    databaseObjects(server, database, facts.sizes[database] ?? 0, compression, snapshots),
  );
  return {
    method: 'logical',
    server: {
      version: facts.version,
      major: facts.major,
      systemIdentifier: facts.systemIdentifier,
    },
    tools: { pg_dump: facts.version, compression },
    objects: [...objects, globals(server)],
    close: async () => {
      for (const { snapshot } of snapshots.values()) await snapshot.abandon();
    },
  };
}

function databaseObjects(
  server: PostgresServer,
  database: string,
  size: number,
  compression: string,
  snapshots: Map<string, Counted>,
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
      read: async function* () {
        const snapshot = await Snapshot.take(server, database);
        // While pg_dump compresses on one processor, another one counts.
        const catalog = snapshot.catalog();
        catalog.catch(() => undefined);
        snapshots.set(database, { snapshot, catalog });
        yield* output(server, [
          'pg_dump',
          '--format=custom',
          `--compress=${compression}`,
          `--snapshot=${snapshot.id}`,
          `--dbname=${connectionTo(database)}`,
        ]);
      },
    },
    {
      name: `db-${part}.catalog.json`,
      role: 'catalog',
      format: 'json',
      database,
      expectedBytes: MIB,
      floorBytes: 2,
      read: async function* () {
        const counted = snapshots.get(database);
        if (counted === undefined) throw new Error(`${database} was not dumped before`);
        yield Buffer.from(`${JSON.stringify(await counted.catalog)}\n`, 'utf8');
        snapshots.delete(database);
        await counted.snapshot.close();
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
    read: () =>
      output(server, ['pg_dumpall', '--globals-only', `--dbname=${connectionTo('postgres')}`]),
  };
}

async function* output(
  server: PostgresServer,
  argv: readonly [string, ...string[]],
): AsyncGenerator<Uint8Array> {
  const { argv: command, ...rest } = postgresExec(server, argv);
  const { stdout, done } = await server.engine.execStream(server.container, {
    argv: command,
    ...rest,
  });
  done.catch(() => undefined);
  try {
    yield* stdout as AsyncIterable<Uint8Array>;
  } finally {
    // A reader that stops early must stop the program, which would hold its snapshot for ever.
    stdout.destroy();
  }
  const { exitCode, stderr } = await done;
  if (exitCode !== 0) throw sqlError(server, exitCode, stderr);
}

/** Sessions of a run that was killed: whoever holds the lock of the job is the only one with its name. */
async function endLeftovers(server: PostgresServer): Promise<void> {
  await runSql(
    server,
    'postgres',
    `SELECT pg_terminate_backend(pid) FROM pg_stat_activity
     WHERE application_name = '${server.applicationName}' AND pid <> pg_backend_pid();`,
  );
}

async function serverFacts(server: PostgresServer): Promise<ServerFacts> {
  return await queryJson<ServerFacts>(
    server,
    'postgres',
    `SELECT json_build_object(
       'version', split_part(current_setting('server_version'), ' ', 1),
       'major', current_setting('server_version_num')::int / 10000,
       'systemIdentifier', (SELECT system_identifier::text FROM pg_control_system()),
       'sizes', (SELECT json_object_agg(datname, pg_database_size(oid)) FROM pg_database
                 WHERE datallowconn));`,
  );
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
 * gzip (docs/decisions/backup-format.md). Before 16 pg_dump has gzip alone.
 */
async function bestCompression(server: PostgresServer, major: number): Promise<string> {
  if (major < 16) return '1';
  for (const candidate of ['zstd:1', 'lz4']) {
    const { argv, ...rest } = postgresExec(server, [
      'pg_dump',
      '--format=custom',
      '--schema-only',
      `--compress=${candidate}`,
      '--file=/dev/null',
      `--dbname=${connectionTo('template1')}`,
    ]);
    const { exitCode } = await server.engine.exec(server.container, { argv, ...rest });
    if (exitCode === 0) return candidate;
  }
  return 'gzip:1';
}
