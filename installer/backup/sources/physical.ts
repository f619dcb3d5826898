import { AppError } from '../../errors.ts';
import type { PitrSettings } from '../../model/backup-settings.ts';
import { containerProgram } from '../container-pipe.ts';
import type { BackupManifest } from '../manifest.ts';
import {
  endEarlierSessions,
  type PostgresServer,
  PsqlSession,
  postgresDown,
  queryJson,
} from '../psql.ts';
import { makeSlot } from '../wal/slot.ts';
import { BEHIND_OTHERS, putSenderBehindOthers } from './behind-others.ts';
import type { Source, SourceProgram } from './source.ts';

/** One would be what all else waits for: the server reads and sends twice as much as one compresses. */
const COMPRESSING_THREADS = 2;

/** The template databases alone come to two megabytes compressed. */
const BASE_FLOOR = 256 * 1024;

/** As much WAL as the server keeps by our own settings, half of it, bytes. */
const UNBOUNDED_WAL = 1024 ** 3;

interface ClusterFacts {
  readonly version: string;
  readonly major: number;
  readonly systemIdentifier: string;
  readonly segmentBytes: number;
  /** Of all databases. */
  readonly bytes: number;
  /** Beside the server's own two. */
  readonly tablespaces: number;
}

/**
 * The files of the whole cluster as one tar with the WAL that makes them consistent, so that it starts alone.
 * The server compresses: a quarter of the processor time that a pipe through zstd takes (docs/decisions/pitr.md).
 * @param pitr its slot is made first: WAL that was written before it would be missing
 * @param warn told why the product may feel this backup
 */
export async function openPhysicalSource(
  server: PostgresServer,
  pitr: Pick<PitrSettings, 'slot' | 'maxRate'> | undefined,
  warn: (problem: AppError) => void,
): Promise<Source> {
  const facts = await clusterFacts(server);
  if (facts.tablespaces > 0) throw tablespaces(facts.tablespaces);
  if (pitr !== undefined) await makeSlot(server, pitr.slot);
  const held = await holdWal(server);
  let behind: Promise<void> | undefined;
  // The server has written its checkpoint by then, which others may wait for.
  const told = new Positions(() => {
    behind = putSenderBehindOthers(server).catch((error: unknown) => {
      if (!(error instanceof AppError)) throw error;
      // A backup that the product feels is better than none; a server that is gone fails it by itself.
      warn(error);
    });
    behind.catch(() => undefined);
  });
  return {
    method: 'physical',
    server: {
      version: facts.version,
      major: facts.major,
      systemIdentifier: facts.systemIdentifier,
    },
    base: () => ({
      ...told.found(),
      segmentBytes: facts.segmentBytes,
      clusterBytes: facts.bytes,
    }),
    tools: { pg_basebackup: facts.version, compression: 'zstd:1' },
    objects: [
      {
        name: 'cluster.tar.zst',
        role: 'cluster',
        format: 'tar.zst',
        expectedBytes: facts.bytes,
        floorBytes: BASE_FLOOR,
        content: { kind: 'program', prepare: async () => program(server, told, pitr?.maxRate) },
      },
    ],
    isPressed: walWatch(held),
    close: async () => {
      await held.cancel();
      await behind;
    },
  };
}

function program(
  server: PostgresServer,
  told: Positions,
  maxRate: number | undefined,
): SourceProgram {
  const command: [string, ...string[]] = [
    ...BEHIND_OTHERS,
    'pg_basebackup',
    ...['--pgdata=-', '--format=tar', '--wal-method=fetch', '--checkpoint=fast'],
    // The server cannot put a list of files into a tar that it has compressed already; age and our own checksums
    // prove the bytes, the pages' checksums are looked at as they are read.
    ...[
      `--compress=server-zstd:level=1,workers=${COMPRESSING_THREADS}`,
      '--no-manifest',
      '--no-sync',
      '--verbose',
    ],
    `--label=${server.applicationName}`,
    // The server sleeps between its reads, after the compression: it is what goes out that is counted.
    ...(maxRate === undefined ? [] : [`--max-rate=${Math.floor(maxRate / 1024)}`]),
  ];
  return {
    ...containerProgram(server, command, { LC_ALL: 'C' }),
    onStderr: (chunk) => told.read(chunk),
    failure: (exitCode, stderr) => baseFailure(server, exitCode, stderr),
  };
}

/** Where the WAL of a base backup begins and ends, as pg_basebackup says it. */
class Positions {
  readonly #begun: () => void;
  #text = '';
  #hasBegun = false;

  /** @param begun called once, when the first is told and the files begin */
  constructor(begun: () => void) {
    this.#begun = begun;
  }

  read(chunk: Buffer): void {
    this.#text += chunk.toString('utf8');
    if (this.#hasBegun || !/start point: .* on timeline/.test(this.#text)) return;
    this.#hasBegun = true;
    this.#begun();
  }

  found(): Omit<NonNullable<BackupManifest['base']>, 'segmentBytes' | 'clusterBytes'> {
    const [, startLsn, timeline] =
      /start point: ([0-9A-F]+\/[0-9A-F]+) on timeline (\d+)/.exec(this.#text) ?? [];
    const [, stopLsn] = /end point: ([0-9A-F]+\/[0-9A-F]+)/.exec(this.#text) ?? [];
    if (startLsn === undefined || timeline === undefined || stopLsn === undefined) {
      throw new AppError({
        code: 'backup/base',
        what: 'pg_basebackup did not say where the WAL of its backup begins and ends',
        why: this.#text.trim(),
        hint: 'holdfast backup run',
      });
    }
    return { timeline: Number(timeline), startLsn, stopLsn };
  }
}

/** Keeps the WAL that is written meanwhile from being recycled; the server drops the slot with the session. */
export async function holdWal(server: PostgresServer): Promise<PsqlSession> {
  const session = await PsqlSession.open(server, 'postgres');
  try {
    await session.run(
      `SELECT pg_create_physical_replication_slot('holdfast_base_' || pg_backend_pid(), true, true);`,
    );
  } catch (error) {
    await session.close();
    throw error;
  }
  return session;
}

/**
 * Tells whether half of what the server would still keep for us was written since the first look
 * (`max_slot_wal_keep_size`): a base backup whose WAL is gone at its end is none. Without that bound the disk would be
 * what fills, so the half of our own setting counts. The slot holds WAL from the last checkpoint on, so some is used at once.
 */
function walWatch(held: PsqlSession): () => Promise<boolean> {
  let first: WalLeft | undefined;
  return async () => {
    const [answer = ''] = await held.run(`SELECT json_build_object(
        'left', safe_wal_size, 'written', pg_current_wal_lsn() - '0/0')
      FROM pg_replication_slots WHERE slot_name = 'holdfast_base_' || pg_backend_pid();`);
    const now = JSON.parse(answer) as WalLeft;
    first ??= now;
    if (now.left === null || first.left === null)
      return now.written - first.written > UNBOUNDED_WAL;
    return now.left < first.left / 2;
  };
}

/** Bytes. */
interface WalLeft {
  /** Until the slot is lost; null without a bound. */
  readonly left: number | null;
  /** Ever. */
  readonly written: number;
}

async function clusterFacts(server: PostgresServer): Promise<ClusterFacts> {
  return await queryJson<ClusterFacts>(
    server,
    'postgres',
    `${endEarlierSessions(server)}
     SELECT json_build_object(
       'version', split_part(current_setting('server_version'), ' ', 1),
       'major', current_setting('server_version_num')::int / 10000,
       'systemIdentifier', (SELECT system_identifier::text FROM pg_control_system()),
       'segmentBytes', (SELECT setting::bigint FROM pg_settings WHERE name = 'wal_segment_size'),
       'bytes', (SELECT sum(pg_database_size(oid)) FROM pg_database),
       'tablespaces', (SELECT count(*) FROM pg_tablespace
                       WHERE spcname NOT IN ('pg_default', 'pg_global')));`,
  );
}

function tablespaces(count: number): AppError {
  return new AppError({
    code: 'backup/tablespaces',
    what: `a base backup takes no tablespaces, and this server has ${count}`,
    why: 'their files lie outside of the data directory, where one stream cannot hold them',
    hint: 'move the tables to the default tablespace (ALTER TABLE … SET TABLESPACE pg_default); logical backups hold them all the same',
  });
}

function baseFailure(server: PostgresServer, exitCode: number, stderr: string): Error {
  const why = stderr.trim().split('\n').slice(-6).join('\n') || `exit code ${exitCode}`;
  const isGone = /is not running|no such container|cannot connect to the docker daemon/i.test(why);
  if (isGone || exitCode > 128) return postgresDown(server.container, why);
  const isTooSlow = /requested WAL segment .* has already been removed/.test(why);
  return new AppError({
    code: 'backup/base',
    what: `pg_basebackup in ${server.container} failed`,
    why,
    hint: isTooSlow
      ? 'it took longer than the server keeps WAL: a higher `postgres.pitr.maxRate`, or none; holdfast apply; then `holdfast backup run`'
      : 'holdfast logs postgres; then `holdfast backup run`',
  });
}
