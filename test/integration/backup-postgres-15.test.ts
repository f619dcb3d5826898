/** The oldest Postgres that a config may ask for: its pg_dump knows gzip alone, its catalogues are older. */
import t from 'tap';
import { restoreTestIdentityFile } from '../../installer/backup/recovery-keys.ts';
import { withBackup } from '../../installer/backup/restore/choose-backup.ts';
import { restorePostgres } from '../../installer/backup/restore/restore-postgres.ts';
import { runRestoreTest } from '../../installer/backup/restore/restore-test.ts';
import { runBackup } from '../../installer/backup/run-backup.ts';
import { BackupStack } from '../support/backup-stack.ts';
import { olderPostgres } from './support/platform-images.ts';

t.test('Postgres 15 is backed up, restored for a test, and restored for good', async (t) => {
  const stack = await BackupStack.start(await olderPostgres());
  t.teardown(() => stack.stop());
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
