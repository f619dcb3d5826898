/** What the session that counts rows beside a dump costs, and what it counts. */
import t from 'tap';
import { dumpHoldsLocks } from '../../installer/backup/sources/catalog.ts';
import { BackupStack } from '../support/backup-stack.ts';
import { until } from './support/docker.ts';
import { platformImages } from './support/platform-images.ts';

const { postgres = '' } = await platformImages('postgres');
const stack = await BackupStack.start(postgres);
t.teardown(() => stack.stop());
await stack.sql('postgres', 'CREATE DATABASE shop;');

/** A step of a query plan: how often it ran, and what it gave and threw away each time. */
interface Step {
  readonly Plans?: readonly Step[];
  readonly [figure: string]: unknown;
}

function rowsTouched(step: Step): number {
  const each = ['Actual Rows', 'Rows Removed by Filter', 'Rows Removed by Join Filter']
    .map((figure) => Number(step[figure] ?? 0))
    .reduce((sum, rows) => sum + rows, 0);
  const below = (step.Plans ?? []).map(rowsTouched);
  return below.reduce((sum, rows) => sum + rows, each * Number(step['Actual Loops'] ?? 1));
}

t.test('a look at the locks of a dump reads each table once, not once for each lock', async (t) => {
  const tables = 500;
  await stack.sql('postgres', 'CREATE DATABASE wide;');
  const each = (statement: string) =>
    `SELECT format('${statement}', i) FROM generate_series(1, ${tables}) i \\gexec`;
  await stack.sql('wide', each('CREATE TABLE t%s ()'));
  const dump = 'stands-for-the-dump';
  const holding = stack
    .sql(
      'wide',
      `SET application_name = '${dump}'; BEGIN; ${each('LOCK TABLE t%s IN ACCESS SHARE MODE')}
       SELECT pg_sleep(600);`,
    )
    .catch((error: Error) => error.message);
  await until('all are locked', 30, async () => {
    const sleeping = "SELECT count(*) FROM pg_stat_activity WHERE wait_event = 'PgSleep'";
    return (await stack.sql('postgres', sleeping)) === '1';
  });
  const look = dumpHoldsLocks(dump);
  t.match(await stack.sql('wide', look), /yes$/);
  const explained = look.replace('SELECT CASE', 'EXPLAIN (ANALYZE, FORMAT JSON) SELECT CASE');
  const [{ Plan: plan }] = JSON.parse(await stack.sql('wide', explained)) as [{ Plan: Step }];
  const touched = rowsTouched(plan);
  t.ok(touched > tables && touched < 50 * tables, `${touched} rows for ${tables} tables`);
  await stack.sql('wide', 'CREATE TABLE one_more ();');
  t.match(await stack.sql('wide', look), /no$/);
  await stack.sql(
    'postgres',
    "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE wait_event = 'PgSleep'",
  );
  t.match(await holding, /terminating connection/);
  t.match(await stack.sql('wide', look), /absent$/);
});
