import { setTimeout as wait } from 'node:timers/promises';
import { AppError } from '../../errors.ts';
import type { BackupContext } from '../context.ts';
import { type PostgresServer, PsqlSession, queryJson } from '../psql.ts';
import { livePostgres } from '../sources/open-source.ts';

const BEAT_MILLISECONDS = 1_000;
const NAME = 'holdfast-heartbeat';

/**
 * One row in a schema of ours, in the database `postgres`: no database of the user, so in none of his dumps. It is
 * updated in place, which keeps it within a page or two.
 */
const PREPARE = `SET client_min_messages = warning;
CREATE SCHEMA IF NOT EXISTS holdfast;
CREATE TABLE IF NOT EXISTS holdfast.heartbeat (
  one boolean PRIMARY KEY DEFAULT true CHECK (one), at timestamptz NOT NULL);`;
const BEAT = `INSERT INTO holdfast.heartbeat (at) VALUES (clock_timestamp())
ON CONFLICT (one) DO UPDATE SET at = excluded.at;`;

export interface Heartbeats {
  /** When the first of these was written. */
  readonly firstAt: Date;
  /** Whether the live server has taken every one so far: after a break the newest does not tell what is lost. */
  readonly haveGoneOn: () => boolean;
}

/** @param beats undefined when the live server takes none */
type Work<T> = (beats: Heartbeats | undefined) => Promise<T>;

/**
 * Writes a row a second to the live server while `work` goes on. They are written then alone, since a row every few
 * seconds for ever would be a request to the store every few seconds for ever on a server that is idle.
 */
export async function whileBeating<T>(context: BackupContext, work: Work<T>): Promise<T> {
  const session = await open(context);
  if (session === undefined) return await work(undefined);
  const firstAt = new Date();
  const stop = new AbortController();
  let broken = false;
  const beating = beat(context, session, stop.signal, () => {
    broken = true;
  });
  // What it throws comes out below, once the work is done.
  beating.catch(() => undefined);
  try {
    return await work({ firstAt, haveGoneOn: () => !broken });
  } finally {
    stop.abort();
    await beating;
    await session.close();
  }
}

/** The newest heartbeat that a server holds. */
export async function newestHeartbeat(server: PostgresServer): Promise<Date | undefined> {
  const isThere = await queryJson<boolean>(
    server,
    'postgres',
    `SELECT to_json(to_regclass('holdfast.heartbeat') IS NOT NULL);`,
  );
  if (!isThere) return undefined;
  const seconds = await queryJson<number>(
    server,
    'postgres',
    'SELECT to_json(coalesce(max(extract(epoch FROM at)), 0)) FROM holdfast.heartbeat;',
  );
  return new Date(seconds * 1_000);
}

async function open(context: BackupContext): Promise<PsqlSession | undefined> {
  try {
    const session = await PsqlSession.open(await livePostgres(context, NAME), 'postgres');
    await session.run(`${PREPARE}\n${BEAT}`);
    return session;
  } catch (error) {
    notBeating(context, error);
    return undefined;
  }
}

async function beat(
  context: BackupContext,
  session: PsqlSession,
  signal: AbortSignal,
  onBreak: () => void,
): Promise<void> {
  try {
    while (!signal.aborted) {
      await session.run(BEAT);
      await wait(BEAT_MILLISECONDS, undefined, { signal }).catch(() => undefined);
    }
  } catch (error) {
    onBreak();
    notBeating(context, error);
  }
}

/** The restore is proved all the same; a server that is down has its own alarm. */
function notBeating({ report }: BackupContext, error: unknown): void {
  if (!(error instanceof AppError) || !error.code.startsWith('backup/')) throw error;
  report({
    kind: 'warning',
    code: error.code,
    text: `what would be lost now is not measured: ${error.message}`,
  });
}
