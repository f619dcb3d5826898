import { setTimeout as wait } from 'node:timers/promises';
import { AppError } from '../../errors.ts';
import { type PostgresServer, runSql, withoutSession } from '../psql.ts';
import { identifier, literal } from './sql-text.ts';

export interface SwapPair {
  readonly live: string;
  readonly restored: string;
  /** Name that the live one is kept under; undefined when there is no live one. */
  readonly before: string | undefined;
  readonly comment: string | undefined;
}

const ATTEMPTS = 20;
/** Milliseconds; entering the container and renaming take about as long when nobody is in the way. */
const TERMINATE_EVERY = 250;

/**
 * Puts restored databases in the place of the live ones: one transaction, so a kill at any moment leaves either
 * the old names or the new ones. Clients lose their connections and wait for the lock instead of seeing a gap.
 * @throws AppError `restore/swap-failed`; then everything is as before
 */
export async function swapDatabases(
  server: PostgresServer,
  pairs: readonly SwapPair[],
): Promise<void> {
  const script = [terminateSql(pairs), 'BEGIN;', ...pairs.flatMap(renames), 'COMMIT;'].join('\n');
  for (let attempt = 1; ; attempt += 1) {
    const failure = await renameWhileTerminating(server, pairs, script);
    if (failure === undefined) return;
    const busy = /is being accessed by other users/.test(failure.message);
    if (!busy || attempt === ATTEMPTS) throw swapFailed(failure);
  }
}

/**
 * The rename locks the database first, so that nobody new comes in, and then waits 5 s for those who are in
 * to leave: they are shown out meanwhile.
 */
async function renameWhileTerminating(
  server: PostgresServer,
  pairs: readonly SwapPair[],
  script: string,
): Promise<Error | undefined> {
  let settled = false;
  const renaming = runSql(server, 'postgres', script)
    .then(() => undefined)
    .catch((error: Error) => error)
    .finally(() => {
      settled = true;
    });
  const beside = withoutSession(server);
  while (!settled) {
    await Promise.race([renaming, wait(TERMINATE_EVERY)]);
    if (!settled) await runSql(beside, 'postgres', terminateSql(pairs));
  }
  return await renaming;
}

function renames({ live, restored, before, comment }: SwapPair): string[] {
  return [
    ...(before === undefined
      ? []
      : [`ALTER DATABASE ${identifier(live)} RENAME TO ${identifier(before)};`]),
    `ALTER DATABASE ${identifier(restored)} RENAME TO ${identifier(live)};`,
    `COMMENT ON DATABASE ${identifier(live)} IS ${comment === undefined ? 'NULL' : literal(comment)};`,
  ];
}

/** Our own connections go to `postgres`, so none of them is among these. */
function terminateSql(pairs: readonly SwapPair[]): string {
  const names = pairs.flatMap(({ live, restored }) => [literal(live), literal(restored)]);
  return `SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname IN (${names.join(', ')});`;
}

function swapFailed(cause: Error): AppError {
  return new AppError({
    code: 'restore/swap-failed',
    what: 'the restored database could not be put in the place of the live one',
    why: cause.message,
    hint: 'the live database is unchanged; run the same restore again',
    cause,
  });
}
