import { AppError } from '../../errors.ts';
import { formatSpan } from '../../model/format-bytes.ts';
import type { BackupContext } from '../context.ts';
import { type PostgresServer, queryJson } from '../psql.ts';
import { livePostgres } from '../sources/open-source.ts';
import type { RecoveryTarget } from './point-in-time.ts';
import type { Recovered } from './recover-cluster.ts';

export interface TransactionCount {
  /** Copies of one cluster have the same. */
  readonly systemIdentifier: string;
  /** How many transactions have ever written: two copies share this count up to where they part. */
  readonly next: number;
}

/** How many transactions would be missing; `all` where another cluster is live than the one that was restored. */
export type Lost = number | 'all';

export async function transactionCount(server: PostgresServer): Promise<TransactionCount> {
  return await queryJson<TransactionCount>(
    server,
    'postgres',
    `SELECT json_build_object(
       'systemIdentifier', (SELECT system_identifier::text FROM pg_control_system()),
       'next', pg_snapshot_xmax(pg_current_snapshot())::text::bigint);`,
  );
}

/** Undefined where the two have no count in common, or the live one does not answer. */
export async function lostTransactions(
  context: BackupContext,
  restored: TransactionCount | undefined,
): Promise<Lost | undefined> {
  if (restored === undefined) return undefined;
  try {
    const live = await transactionCount(await livePostgres(context, 'holdfast-restore'));
    if (live.systemIdentifier !== restored.systemIdentifier) return 'all';
    return Math.max(0, live.next - restored.next);
  } catch (error) {
    // What is lost by a server that is down cannot be counted, and it is what the restore is for.
    if (error instanceof AppError && error.code.startsWith('backup/')) return undefined;
    throw error;
  }
}

/** What was recovered. A base backup holds everything up to its end, also where no WAL follows it. */
type Reached = Pick<Recovered, 'lastCommit' | 'isShort'> & { readonly baseEndedAt: string };

/** What a yes gives up, and the question. */
export function lossText(
  target: RecoveryTarget,
  { lastCommit, isShort = false, baseEndedAt }: Reached,
  lost: Lost | undefined,
  now: Date,
  givenUpAt?: Date,
): string {
  const isReached = target.kind === 'time' && !isShort;
  const end = isReached ? target.time : new Date(lastCommit ?? baseEndedAt);
  const span = formatSpan(Math.max(0, (now.getTime() - end.getTime()) / 1000));
  return (
    `The restored cluster ends at ${end.toISOString()}, ${span} ago; its last commit was at ${lastCommit ?? 'a time before its base'}; ${countText(lost, givenUpAt)}.\n` +
    'Postgres is restarted on it, and the volume that is live now is kept. Go on?'
  );
}

function countText(lost: Lost | undefined, givenUpAt: Date | undefined): string {
  if (givenUpAt !== undefined) {
    return `that is of before the restore of ${givenUpAt.toISOString()}: what that gave up comes back, and what was written since would be missing`;
  }
  if (lost === 'all') {
    return 'what runs now is another cluster, and everything that it holds would be missing';
  }
  return lost === undefined
    ? 'the transactions of the live cluster since then cannot be counted'
    : `${lost} transactions of the live cluster would be missing`;
}
