import { Readable } from 'node:stream';
import { AppError } from '../../errors.ts';
import type { Host } from '../../host/host.ts';
import { formatBytes } from '../../model/format-bytes.ts';
import { dockerExec } from '../container-pipe.ts';
import type { BackupObject } from '../manifest.ts';
import {
  connectionTo,
  type PostgresServer,
  postgresExec,
  runSql,
  SESSION,
  withoutSession,
} from '../psql.ts';
import { type OpenBackup, readObject } from '../read-object.ts';
import type { Catalog } from '../sources/catalog.ts';
import { createDatabaseSql, databasePropertiesSql } from './create-database.ts';
import type { RestoreEffort } from './restore-effort.ts';
import { identifier, literal } from './sql-text.ts';
import { Staging } from './staging.ts';

export interface DatabaseRestore {
  readonly server: PostgresServer;
  readonly backup: OpenBackup;
  readonly object: BackupObject;
  readonly catalog: Catalog;
  /** Name of the new database. */
  readonly target: string;
  readonly effort: RestoreEffort;
  /** Leaves out what only the original server has. */
  readonly foreignServer: boolean;
}

/**
 * Restores an archive into a new database, whatever a killed attempt left under that name. The database exists
 * under its name whole or, after a failure, not at all.
 */
export async function restoreDatabase(restore: DatabaseRestore): Promise<void> {
  const { server, backup, object, target } = restore;
  const staging = await Staging.open(server, dropSql(target));
  try {
    if (canStage(restore, staging)) {
      const path = await layDownMeanwhile(restore, staging, makeEmpty(restore));
      await pgRestore(restore, [`--jobs=${restore.effort.jobs}`, path], undefined);
    } else {
      await makeEmpty(restore);
      await pgRestore(restore, [], readObject(backup, object));
    }
  } catch (error) {
    await dropDatabase(withoutSession(server), target);
    throw error;
  } finally {
    await staging.clear();
  }
}

/**
 * Fetches the archive while the empty database is made, and both have ended when this does: what is taken back
 * then comes back no more. A database that cannot be made does not wait for an archive of hours.
 */
async function layDownMeanwhile(
  { backup, object }: DatabaseRestore,
  staging: Staging,
  making: Promise<void>,
): Promise<string> {
  const stop = new AbortController();
  making.catch(() => stop.abort());
  const [made, laid] = await Promise.allSettled([
    making,
    staging.write({ ...backup, signal: stop.signal }, object),
  ]);
  if (made.status === 'rejected') throw made.reason;
  if (laid.status === 'rejected') throw laid.reason;
  return laid.value;
}

async function makeEmpty({ server, target, catalog }: DatabaseRestore): Promise<void> {
  const beginning = [
    createDatabaseSql(target, catalog),
    commentSql(target, RESTORING),
    databasePropertiesSql(target, catalog),
  ];
  await runSql(server, 'postgres', beginning.join('\n'));
}

/** Begins the comment of a database that a restore is not through with. */
export const OURS = 'holdfast: ';
const RESTORING = `${OURS}restoring`;

export async function setComment(
  server: PostgresServer,
  database: string,
  comment: string,
): Promise<void> {
  await runSql(server, 'postgres', commentSql(database, comment));
}

function commentSql(database: string, comment: string): string {
  return `COMMENT ON DATABASE ${identifier(database)} IS ${literal(comment)};`;
}

export async function dropDatabase(server: PostgresServer, name: string): Promise<void> {
  await runSql(server, 'postgres', dropSql(name));
}

function dropSql(name: string): string {
  return `DROP DATABASE IF EXISTS ${identifier(name)} WITH (FORCE);`;
}

/** Whether there is room for the archive beside the new database. @throws AppError `preflight/disk-full` */
function canStage({ object, catalog }: DatabaseRestore, staging: Staging): boolean {
  const free = staging.freeBytes;
  const database = catalog.database.sizeBytes * 1.1;
  if (free < database) {
    throw new AppError({
      code: 'preflight/disk-full',
      what: 'the disk is too full to restore beside the live database',
      why: `${formatBytes(free)} are free; the restored database needs ${formatBytes(database)}`,
      hint: 'free some space, then run the same restore again',
      details: { freeBytes: free, neededBytes: database },
    });
  }
  return free >= database + object.plainSize;
}

async function pgRestore(
  { server, target, foreignServer, effort, catalog }: DatabaseRestore,
  more: readonly string[],
  plain: AsyncIterable<Uint8Array> | undefined,
): Promise<void> {
  const session = [
    ...SESSION,
    // No waiting for the disk at each commit.
    'synchronous_commit=off',
    `maintenance_work_mem=${Math.floor(effort.sortBytes / 1024)}kB`,
    // Helpers of an index build take the processors from the other jobs: 12 % slower over eight tables on two.
    ...(isSpread(catalog) ? ['max_parallel_maintenance_workers=0'] : []),
  ];
  const { argv, ...rest } = postgresExec(
    server,
    [
      'pg_restore',
      '--exit-on-error',
      '--no-subscriptions',
      ...(foreignServer ? ['--no-tablespaces'] : []),
      `--dbname=${connectionTo(target)}`,
      ...more,
    ],
    session,
  );
  const stdin = plain === undefined ? undefined : Readable.from(plain, { objectMode: false });
  const { stdout, done } = await server.engine.execStream(server.container, {
    argv,
    ...rest,
    ...(stdin === undefined ? {} : { stdin }),
  });
  stdout.on('error', () => undefined).resume();
  const { exitCode, stderr } = await done;
  if (exitCode === 0) return;
  throw new AppError({
    code: 'restore/failed',
    what: `pg_restore into ${target} failed`,
    why: stderr.trim().split('\n').slice(-8).join('\n'),
    hint: 'the live database was not touched; holdfast logs postgres',
  });
}

/** Whether the jobs have enough to do at a time: no table is half of the database. */
function isSpread({ tables }: Catalog): boolean {
  let all = 0;
  let largest = 0;
  for (const { rows } of tables) {
    all += rows ?? 0;
    largest = Math.max(largest, rows ?? 0);
  }
  return largest * 2 <= all;
}

/** Rows that are looked at per table: this times 300. The server's default is 100. */
const QUICK_TARGET = 10;

/**
 * Without statistics the first queries after the swap would crawl. A tenth of the usual sample is enough for the
 * planner to begin with, and takes a seventh of the time: {@link refineStatistics} takes the whole one.
 */
export async function analyzeDatabase(server: PostgresServer, database: string): Promise<void> {
  const request = postgresExec(server, analyzeArgv(database), [
    ...SESSION,
    `default_statistics_target=${QUICK_TARGET}`,
  ]);
  const { exitCode, stderr } = await server.engine.exec(server.container, request);
  if (exitCode === 0) return;
  throw new AppError({
    code: 'restore/failed',
    what: `the restored database ${database} could not be analysed`,
    why: stderr.trim(),
    hint: 'holdfast logs postgres; then run the same restore again',
  });
}

/** Begins the full statistics in the container and does not wait for them: the database serves meanwhile. */
export async function refineStatistics(
  host: Host,
  server: PostgresServer,
  database: string,
): Promise<void> {
  await host.run({ argv: dockerExec(server, ['--detach'], analyzeArgv(database)) });
}

function analyzeArgv(database: string): [string, ...string[]] {
  return [
    'vacuumdb',
    ...['--analyze-only', '--quiet', '--jobs=2'],
    `--dbname=${connectionTo(database)}`,
  ];
}
