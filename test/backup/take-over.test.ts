import t from 'tap';
import { DirectoryStore } from '../../installer/backup/store/directory-store.ts';
import { readTakeOver, refuseTakenOver, takeOver } from '../../installer/backup/take-over.ts';

const PLACE = { prefix: 'acme', project: 'shop' };
const AT = new Date('2026-11-21T12:00:00Z');
const writer = (name: string) => ({ host: `${name}.example`, id: `id-of-${name}` });

t.test('whoever was replaced stores nothing more, whoever was not is left alone', async (t) => {
  const store = new DirectoryStore(t.testdir({}));
  const isRefused = async (name: string): Promise<boolean> => {
    try {
      await refuseTakenOver(store, PLACE, writer(name).id);
      return false;
    } catch (error) {
      t.match(error, { code: 'backup/taken-over' });
      return true;
    }
  };
  const fenced = async () =>
    await Promise.all(['one', 'two', 'three', 'staging'].map((name) => isRefused(name)));
  t.strictSame(await fenced(), [false, false, false, false]);
  await takeOver(store, PLACE, writer('two'), [writer('one').id], AT);
  t.strictSame(await fenced(), [true, false, false, false]);
  const said = /^two\.example took over the backups of shop on 2026-11-21T12/;
  await t.rejects(refuseTakenOver(store, PLACE, writer('one').id), { message: said });
  // One that comes back after a second replacement is fenced all the same.
  await takeOver(store, PLACE, writer('three'), [writer('two').id], AT);
  t.strictSame(await fenced(), [true, true, false, false]);
  await takeOver(store, PLACE, writer('one'), [], AT);
  t.strictSame(await fenced(), [false, true, true, false]);
  // Another project in the same bucket is another product.
  await refuseTakenOver(store, { ...PLACE, project: 'blog' }, writer('two').id);
});

t.test('a note that cannot be read keeps nobody from saving data', async (t) => {
  const folder = t.testdir({ acme: { shop: { 'taken-over.json': '{"fenced": ["id' } } });
  const store = new DirectoryStore(folder);
  await refuseTakenOver(store, PLACE, writer('one').id);
  t.equal(await readTakeOver(store, PLACE), undefined);
  await takeOver(store, PLACE, writer('two'), [writer('one').id], AT);
  await t.rejects(refuseTakenOver(store, PLACE, writer('one').id), {
    code: 'backup/taken-over',
  });
});
