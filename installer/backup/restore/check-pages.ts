import { AppError } from '../../errors.ts';
import { connectionTo, type PostgresServer, postgresExec } from '../psql.ts';

/** Of pg_amcheck: it came to its end and found something. */
const DAMAGED = 2;

/**
 * Every page of every table and index of a restored database.
 * @param options more for pg_amcheck
 * @throws AppError `restore/check-failed`, `restore/unchecked`
 */
export async function checkPages(
  server: PostgresServer,
  database: string,
  options: readonly string[] = [],
): Promise<void> {
  const { exitCode, stdout, stderr } = await server.engine.exec(
    server.container,
    postgresExec(server, [
      'pg_amcheck',
      ...['--install-missing', '--jobs=2', ...options],
      connectionTo(database),
    ]),
  );
  if (exitCode === 0) return;
  const why = (stdout + stderr).trim().split('\n').slice(-10).join('\n');
  throw exitCode === DAMAGED ? damaged(database, why) : unchecked(database, why);
}

function damaged(database: string, why: string): AppError {
  return new AppError({
    code: 'restore/check-failed',
    what: `the restored ${database} is damaged`,
    why,
    hint: 'choose an earlier moment or another backup: `holdfast backup list`; check the live one with pg_amcheck too',
  });
}

function unchecked(database: string, why: string): AppError {
  return new AppError({
    code: 'restore/unchecked',
    what: `pg_amcheck could not look through the restored ${database}`,
    why,
    hint: 'correct what it says and run the same again; the live data was not touched',
  });
}
