/** What the session that counts rows beside a dump costs, and what it counts. */
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import t from 'tap';
import { PsqlSession } from '../../installer/backup/psql.ts';
import { readText } from '../../installer/backup/read-object.ts';
import { restoreTestIdentityFile } from '../../installer/backup/recovery-keys.ts';
import { withBackup } from '../../installer/backup/restore/choose-backup.ts';
import { databasesOf } from '../../installer/backup/restore/chosen-databases.ts';
import { runBackup } from '../../installer/backup/run-backup.ts';
import {
  dumpHoldsLocks,
  parseCatalog,
  ROWS_WITHOUT_WAITING,
} from '../../installer/backup/sources/catalog.ts';
import { livePostgres } from '../../installer/backup/sources/open-source.ts';
import { Snapshot } from '../../installer/backup/sources/snapshot.ts';
import { DirectoryStore } from '../../installer/backup/store/directory-store.ts';
import { BackupStack } from '../support/backup-stack.ts';
import { until } from './support/docker.ts';
import { platformImages } from './support/platform-images.ts';

const { postgres = '' } = await platformImages('postgres');
const stack = await BackupStack.start(postgres);
t.teardown(() => stack.stop());
await stack.sql('postgres', 'CREATE DATABASE shop;');

/** Whether a session is as `what` says. */
async function isThere(what: string): Promise<boolean> {
  const count = `SELECT count(*) FROM pg_stat_activity WHERE pid <> pg_backend_pid() AND ${what}`;
  return (await stack.sql('postgres', count)) !== '0';
}

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
  await until('all are locked', 30, () => isThere("wait_event = 'PgSleep'"));
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
  await stack.sql('postgres', 'DROP DATABASE wide;');
});

t.test('a table that was emptied or rewritten since the snapshot has no count', async (t) => {
  await stack.sql(
    'shop',
    `CREATE TABLE emptied AS SELECT generate_series(1, 5000) AS i;
     CREATE TABLE rewritten AS SELECT generate_series(1, 5000) AS i;
     CREATE TABLE deleted AS SELECT generate_series(1, 5000) AS i;
     CREATE TABLE kept AS SELECT generate_series(1, 5000) AS i;`,
  );
  const server = await livePostgres(stack.context(), 'holdfast-backup-daily');
  const snapshot = await Snapshot.take(server, 'shop');
  await stack.sql(
    'shop',
    'TRUNCATE emptied; ALTER TABLE rewritten ALTER i TYPE bigint; DELETE FROM deleted; VACUUM deleted;',
  );
  snapshot.dumpHasEnded();
  const { tables } = await snapshot.catalog();
  await snapshot.close();
  t.same(Object.fromEntries(tables.map(({ table, rows }) => [table, rows])), {
    ...{ emptied: null, rewritten: null, deleted: 5000, kept: 5000 },
  });
  await stack.sql('shop', 'DROP TABLE emptied, rewritten, deleted, kept;');
});

t.test('what was counted is locked no longer than it takes', async (t) => {
  await stack.sql(
    'shop',
    'CREATE TABLE sought (i int PRIMARY KEY); INSERT INTO sought VALUES (1);',
  );
  const ours = (kind: string) =>
    `SELECT count(*) FROM pg_locks l JOIN pg_class c ON c.oid = l.relation
     WHERE l.pid <> pg_backend_pid() AND c.relname LIKE 'sought%' AND c.relkind = '${kind}'`;
  const locksOfCounting = ours('i').replace('<>', '=');
  t.equal(
    await stack.sql('shop', `BEGIN; ${ROWS_WITHOUT_WAITING}\n${locksOfCounting};`),
    '{"schema" : "public", "table" : "sought", "rows" : 1}\n0',
    'of an index while the next table is counted',
  );
  const server = await livePostgres(stack.context(), 'holdfast-backup-daily');
  const snapshot = await Snapshot.take(server, 'shop');
  snapshot.dumpHasEnded();
  await snapshot.catalog();
  t.equal(await stack.sql('shop', ours('r')), '0', 'of the table while the dump is stored');
  await snapshot.close();
  await stack.sql('shop', 'DROP TABLE sought;');
});

t.test('a dump of nothing takes over the snapshot when it gets to it', async (t) => {
  const server = await livePostgres(stack.context(), 'holdfast-backup-daily');
  const snapshot = await Snapshot.take(server, 'shop');
  const dump = await PsqlSession.open(server, 'shop');
  t.match(await snapshot.catalog(), { tables: [] });
  await dump.run(
    `BEGIN ISOLATION LEVEL REPEATABLE READ; SET TRANSACTION SNAPSHOT '${snapshot.id}';`,
  );
  await dump.close();
  await snapshot.close();
});

t.test('rows are counted when a dump has ended that was too quick to be seen', async (t) => {
  const quick = join(stack.root, 'pg_dump');
  // pg_dumpall asks for its version.
  const script = '#!/bin/sh\n[ "$1" != -V ] || exec "$0.real" -V\ncat /tmp/made-before\n';
  await writeFile(quick, script, { mode: 0o755 });
  await stack.sql('shop', 'CREATE TABLE orders AS SELECT generate_series(1, 5000) AS i;');
  const inside = (...argv: string[]) => stack.docker(['exec', stack.container, ...argv]);
  const at = await inside('which', 'pg_dump');
  await inside('pg_dump', '-U', 'postgres', '-Fc', '-f', '/tmp/made-before', 'shop');
  await inside('mv', at, `${at}.real`);
  await stack.docker(['cp', quick, `${stack.container}:${at}`]);
  class SlowStore extends DirectoryStore {
    override async put(key: string, body: AsyncIterable<Uint8Array>): Promise<void> {
      await super.put(key, body);
      if (key.includes('.dump')) await until('they are counted', 30, areCounted);
    }
  }
  const areCounted = () =>
    isThere(
      "application_name LIKE 'holdfast%' AND datname = 'shop' AND state = 'idle' AND query LIKE 'COMMIT%'",
    );
  const store = new SlowStore(join(stack.root, 'store'));
  const context = stack.context({}, { openStore: async () => store });
  const { id } = await runBackup(context, 'daily');
  const identityFile = restoreTestIdentityFile(stack.paths);
  await withBackup(context, { id, kind: 'postgres', identityFile }, async (backup) => {
    const [pair] = databasesOf(backup.manifest, {});
    if (pair === undefined) throw new Error('the backup has no database');
    const { tables } = parseCatalog(await readText(backup, pair.catalog));
    t.match(tables, [{ table: 'orders', rows: 5000 }]);
  });
});
