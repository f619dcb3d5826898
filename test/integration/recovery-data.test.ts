import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import t from 'tap';
import { chooseData } from '../../installer/backup/recovery/choose-data.ts';
import { restoreTestIdentityFile } from '../../installer/backup/recovery-keys.ts';
import { runBackup } from '../../installer/backup/run-backup.ts';
import { writerIdentity } from '../../installer/backup/writer-id.ts';
import { restoreData } from '../../installer/cli/restore-server-data.ts';
import { BackupStack } from '../support/backup-stack.ts';
import { platformImages } from './support/platform-images.ts';

/** What `restore --from PLACE` does with the databases, once the stack is up around an empty one. */

const { postgres = '' } = await platformImages('postgres');
const stack = await BackupStack.start(postgres);
t.teardown(() => stack.stop());

t.test('an empty database gets the newest whole dump of the lost server', async (t) => {
  await stack.sql('postgres', 'CREATE DATABASE shop;');
  await stack.sql('shop', 'CREATE TABLE orders AS SELECT generate_series(1, 100) AS id;');
  const context = stack.context();
  const first = await runBackup(context, 'daily');
  await stack.sql('shop', 'INSERT INTO orders VALUES (101)');
  const second = await runBackup(context, 'daily');
  const dump = `backups/${stack.project}/daily/${second.id}/db-shop.dump.age`;
  const path = join(stack.root, 'store', dump);
  const content = await readFile(path);
  content[content.length >> 1] = (content[content.length >> 1] ?? 0) ^ 4;
  await writeFile(path, content);
  await stack.sql('postgres', 'DROP DATABASE shop');
  await stack.sql('postgres', 'CREATE DATABASE shop');

  const { settings, host, paths } = context;
  const ofServer = {
    writer: await writerIdentity(host, paths),
    identityFile: restoreTestIdentityFile(paths),
  };
  const contextFor = () => context;
  const [wish] = await chooseData(settings, { ...ofServer, latest: false }, contextFor);
  t.match(wish, { what: 'postgres', backups: [{ id: second.id }, { id: first.id }] });
  if (wish === undefined) throw new Error('nothing chosen');
  const unused = async () => t.fail('nothing is rolled forward') as never;
  const data = { ...ofServer, settings, contextFor, swap: unused, startAnew: unused };
  const restored = await restoreData(wish, data);
  t.match(restored, {
    what: 'postgres',
    backup: first.id,
    lines: [/^shop: 1 tables and 100 rows/, /kept as shop_before_/, /dropdb/],
  });
  t.equal(await stack.sql('shop', 'SELECT count(*) FROM orders'), '100');
  const told = stack.events.filter(
    (event) => 'code' in event && event.code === 'restore/fell-back',
  );
  t.equal(told.length, 1, 'and says so');
});
