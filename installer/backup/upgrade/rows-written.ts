import { setTimeout as wait } from 'node:timers/promises';
import { type PostgresServer, runSql } from '../psql.ts';

const POLL_MILLISECONDS = 100;
const DATABASES = 'SELECT datname FROM pg_database WHERE datallowconn ORDER BY datname;';
// Large objects are rows of a table of the system.
const COUNT = `SELECT coalesce(sum(n_tup_ins + n_tup_upd + n_tup_del), 0) FROM pg_stat_all_tables
  WHERE relid IN (SELECT relid FROM pg_stat_user_tables) OR relid = 'pg_catalog.pg_largeobject'::regclass;`;
/** A session hands its counts in before it is gone from here. */
const OTHERS = `SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'client backend' AND pid <> pg_backend_pid();`;

/**
 * Rows of users' tables and pages of large objects that were ever inserted, updated or deleted, by the server's own count, which it keeps over
 * a clean shutdown. Nobody else may come in any more: those who are in are waited for.
 */
export async function rowsWritten(server: PostgresServer): Promise<number> {
  while ((await runSql(server, 'postgres', OTHERS))[0] !== '0') await wait(POLL_MILLISECONDS);
  return await rowsWrittenSoFar(server);
}

/** The same beside sessions that are at work: their last second may be missing. */
export async function rowsWrittenSoFar(server: PostgresServer): Promise<number> {
  let sum = 0;
  for (const database of await runSql(server, 'postgres', DATABASES)) {
    const [count = '0'] = await runSql(server, database, COUNT);
    sum += Number(count);
  }
  return sum;
}
