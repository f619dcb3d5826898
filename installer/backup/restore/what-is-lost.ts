import { AppError } from '../../errors.ts';
import { formatSpan } from '../../model/format-bytes.ts';
import type { BackupContext } from '../context.ts';
import { type PostgresServer, queryJson } from '../psql.ts';
import { livePostgres } from '../sources/open-source.ts';
import type { RecoveryTarget } from './point-in-time.ts';
import type { Recovered } from './recover-cluster.ts';

/** How many transactions have ever written: the two clusters share this count up to where they part. */
export async function nextTransaction(server: PostgresServer): Promise<number> {
  return await queryJson<number>(
    server,
    'postgres',
    'SELECT to_json(pg_snapshot_xmax(pg_current_snapshot())::text::bigint);',
  );
}

/** Undefined where the two clusters have no count in common, or the live one does not answer. */
export async function lostTransactions(
  context: BackupContext,
  restored: number | undefined,
): Promise<number | undefined> {
  if (restored === undefined) return undefined;
  try {
    const live = await nextTransaction(await livePostgres(context, 'holdfast-restore'));
    return Math.max(0, live - restored);
  } catch (error) {
    // What is lost by a server that is down cannot be counted, and it is what the restore is for.
    if (error instanceof AppError && error.code.startsWith('backup/')) return undefined;
    throw error;
  }
}

/** What a yes gives up, and the question. */
export function lossText(
  target: RecoveryTarget,
  { lastCommit }: Recovered,
  lost: number | undefined,
  now: Date,
  givenUpAt?: Date,
): string {
  const end = target.kind === 'time' ? target.time : new Date(lastCommit ?? now);
  const span = formatSpan(Math.max(0, (now.getTime() - end.getTime()) / 1000));
  return (
    `The restored cluster ends at ${end.toISOString()}, ${span} ago; its last commit was at ${lastCommit ?? 'a time before its base'}; ${countText(lost, givenUpAt)}.\n` +
    'Postgres is restarted on it, and the volume that is live now is kept. Go on?'
  );
}

function countText(lost: number | undefined, givenUpAt: Date | undefined): string {
  if (givenUpAt !== undefined) {
    return `that is of before the restore of ${givenUpAt.toISOString()}: what that gave up comes back, and what was written since would be missing`;
  }
  return lost === undefined
    ? 'the transactions of the live cluster since then cannot be counted'
    : `${lost} transactions of the live cluster would be missing`;
}
