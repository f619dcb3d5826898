/** The oldest Postgres that a config may ask for: its pg_dump knows gzip alone, its catalogues are older. */
import t from 'tap';
import { restoreTestIdentityFile } from '../../installer/backup/recovery-keys.ts';
import { withBackup } from '../../installer/backup/restore/choose-backup.ts';
import { restoreCluster } from '../../installer/backup/restore/restore-cluster.ts';
import { restorePostgres } from '../../installer/backup/restore/restore-postgres.ts';
import { runRestoreTest } from '../../installer/backup/restore/restore-test.ts';
import { runBackup } from '../../installer/backup/run-backup.ts';
import { PitrStack } from '../support/pitr-stack.ts';
import { olderPostgres } from './support/platform-images.ts';

const pitr = await PitrStack.start(await olderPostgres(), 1);
t.teardown(() => pitr.stop());
const { stack } = pitr;

t.test('Postgres 15 is backed up, restored for a test, and restored for good', async (t) => {
  t.match(await stack.sql('postgres', 'SHOW server_version'), /^15[.]/);
  await stack.sql('postgres', 'CREATE ROLE shop LOGIN; CREATE DATABASE shop OWNER shop;');
  await stack.sql(
    'shop',
    `CREATE TABLE orders (id bigserial PRIMARY KEY, note text NOT NULL);
     INSERT INTO orders (note) SELECT md5(i::text) FROM generate_series(1, 5000) i;
     ALTER TABLE orders OWNER TO shop;`,
  );
  const sum = 'SELECT count(*), md5(string_agg(note, $$,$$ ORDER BY id)) FROM orders';
  const before = await stack.sql('shop', sum);
  const context = stack.context();
  await runBackup(context, 'daily');

  t.match(await runRestoreTest(context), { dump: { databases: 1, tables: 1, rows: 5000 } });

  await stack.sql('shop', 'DROP TABLE orders');
  const wish = { consent: async () => undefined };
  const identityFile = restoreTestIdentityFile(stack.paths);
  const [restored] = await withBackup(context, { kind: 'postgres', identityFile }, (backup) =>
    restorePostgres(context, backup, wish),
  );
  t.match(restored, { name: 'shop', rows: 5000 });
  t.equal(await stack.sql('shop', sum), before);
});

t.test('and rolled forward: its WAL is received, shipped and replayed by 15', async (t) => {
  const context = stack.context(pitr.over());
  pitr.startShipper();
  await pitr.until('the slot is there', ({ checkedAt }) => checkedAt !== '');
  const { id } = await runBackup(context, 'base');
  await stack.sql('shop', "INSERT INTO orders (note) VALUES ('after the base')");
  await stack.sql('postgres', 'SELECT pg_switch_wal()');
  await stack.sql('shop', "INSERT INTO orders (note) VALUES ('in the open segment')");
  await pitr.shipped();
  await pitr.killShipper();
  const done = await restoreCluster(context, {
    target: { kind: 'latest' },
    identityFile: restoreTestIdentityFile(stack.paths),
    consent: async () => undefined,
    swap: pitr.swap,
  });
  t.match(done, { base: id, cluster: { databases: [{}, { name: 'shop', rows: 5002 }, {}] } });
  t.match(await stack.sql('postgres', 'SHOW server_version'), /^15[.]/);
  t.equal(
    await stack.sql('shop', 'SELECT note FROM orders ORDER BY id DESC LIMIT 1'),
    'in the open segment',
  );
});
