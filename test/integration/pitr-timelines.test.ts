import { rm, writeFile } from 'node:fs/promises';
import t from 'tap';
import { restoreTestIdentityFile } from '../../installer/backup/recovery-keys.ts';
import type { RecoveryTarget } from '../../installer/backup/restore/point-in-time.ts';
import {
  planClusterRestore,
  restoreCluster,
} from '../../installer/backup/restore/restore-cluster.ts';
import { runBackup } from '../../installer/backup/run-backup.ts';
import { PitrStack } from '../support/pitr-stack.ts';
import { platformImages } from './support/platform-images.ts';

/** One restore after the other: whoever went back to the wrong moment can go to any other. */

const { postgres = '' } = await platformImages('postgres');
const pitr = await PitrStack.start(postgres, 2);
t.teardown(() => pitr.stop());
const { stack } = pitr;
const context = stack.context(pitr.over());
const asked: string[] = [];
const wish = (target: RecoveryTarget) => ({
  target,
  identityFile: restoreTestIdentityFile(stack.paths),
  consent: async (question: string) => {
    asked.push(question);
  },
  swap: pitr.swap,
});
const to = (time: Date) => wish({ kind: 'time', time });
const add = (note: string) => stack.sql('shop', `INSERT INTO orders (note) VALUES ('${note}')`);
const notes = () => stack.sql('shop', "SELECT string_agg(note, ', ' ORDER BY id) FROM orders");
const clock = async () =>
  new Date(
    Number(await stack.sql('postgres', 'SELECT extract(epoch FROM clock_timestamp())')) * 1000,
  );
const chain = (number: number) =>
  pitr.until(`timeline ${number}`, ({ timeline }) => timeline === number);

await stack.sql('postgres', 'CREATE DATABASE shop;');
await stack.sql('shop', 'CREATE TABLE orders (id bigserial PRIMARY KEY, note text NOT NULL);');
pitr.startShipper();
await pitr.until('the slot is there', (status) => status.checkedAt !== '');
const first = await runBackup(context, 'base');
await add('first');
const afterFirst = await clock();
await add('second');
const afterSecond = await clock();
await add('third');
await pitr.shipped();

t.test('too far back, then to a later moment, which the first restore gave up', async (t) => {
  await restoreCluster(context, to(afterFirst));
  t.equal(await notes(), 'first');
  const swapped = await clock();
  t.match(asked.at(-1), /[1-9]\d* transactions of the live cluster would be missing/);
  await chain(2);
  await add('on timeline 2');
  await pitr.shipped();

  const plan = await planClusterRestore(context, to(afterSecond));
  t.match(plan.givenUpAt, /^20\d\d-/);
  t.notOk(plan.objects.some((key) => /\/00000002[0-9A-F]{16}/.test(key)));
  const restoredAt = new Date(plan.givenUpAt ?? 0);
  t.ok(restoredAt > afterSecond && restoredAt < swapped, 'when the server came up again');
  const done = await restoreCluster(context, to(afterSecond));
  t.equal(await notes(), 'first, second');
  t.equal(done.base, first.id);
  t.equal(done.lostTransactions, undefined, 'the two have no count in common');
  t.match(asked.at(-1), /of before the restore of 20.*: what that gave up comes back/);
  await chain(3);
});

t.test('and to a moment on a timeline that was itself given up', async (t) => {
  const base = await runBackup(context, 'base');
  await add('on timeline 3');
  const onThird = await clock();
  await add('too much');
  await pitr.shipped();
  await restoreCluster(context, to(afterFirst));
  t.equal(await notes(), 'first');
  await chain(4);
  await add('on timeline 4');
  await pitr.shipped();

  const done = await restoreCluster(context, to(onThird));
  t.equal(await notes(), 'first, second, on timeline 3');
  t.equal(done.base, base.id);
  await chain(5);
});

t.test('the newest is that of the newest timeline, from a base that leads there', async (t) => {
  await add('on timeline 5');
  await pitr.shipped();
  // Of timelines that are not on the way: one history lost, one damaged.
  const history = async (timeline: number): Promise<string> =>
    (await pitr.stored(`/0000000${timeline}.history`)).at(0) ?? '';
  await rm(await history(2));
  await writeFile(await history(4), 'damaged');
  await restoreCluster(context, wish({ kind: 'latest' }));
  t.equal(await notes(), 'first, second, on timeline 3, on timeline 5');
  await chain(6);
});
