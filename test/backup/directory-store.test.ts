import { spawn } from 'node:child_process';
import { readdir, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import t from 'tap';
import { listStored } from '../../installer/backup/inventory.ts';
import { prune } from '../../installer/backup/prune.ts';
import { DirectoryStore } from '../../installer/backup/store/directory-store.ts';
import { readSmall } from '../../installer/backup/store/store.ts';
import { markerBytes, removeBackup, sweep } from '../../installer/backup/sweep.ts';
import { takeOver } from '../../installer/backup/take-over.ts';

const place = { prefix: 'b', project: 'shop' };
const now = new Date('2026-03-10T00:00:00Z');

async function* bytes(...chunks: string[]): AsyncGenerator<Buffer> {
  for (const chunk of chunks) yield Buffer.from(chunk);
}

async function keys(store: DirectoryStore, prefix = ''): Promise<string[]> {
  const found: string[] = [];
  for await (const { key } of store.list(prefix)) found.push(key);
  return found;
}

t.test('what is put can be got, whole and in ranges; files are of root alone', async (t) => {
  const root = t.testdir();
  const store = new DirectoryStore(root);
  await store.put('b/shop/x', bytes('0123', '456789'));
  t.equal((await readSmall(store, 'b/shop/x'))?.toString(), '0123456789');
  const part: Buffer[] = [];
  for await (const chunk of await store.get('b/shop/x', { from: 3, to: 6 }))
    part.push(chunk as Buffer);
  t.equal(Buffer.concat(part).toString(), '345');
  t.match(await store.head('b/shop/x'), { size: 10 });
  t.equal(await store.head('b/shop/y'), undefined);
  await t.rejects(store.get('b/shop/y'), { code: 'store/missing' });
  t.equal((await stat(join(root, 'b/shop/x'))).mode & 0o777, 0o600);
  t.equal((await stat(join(root, 'b'))).mode & 0o777, 0o700);
  await t.rejects(store.put('b/../../x', bytes('')), /not a key/);
});

t.test('a source that fails leaves nothing', async (t) => {
  const store = new DirectoryStore(t.testdir());
  async function* broken(): AsyncGenerator<Buffer> {
    yield Buffer.alloc(1000);
    throw new Error('source');
  }
  await t.rejects(store.put('b/shop/x', broken()), /source/);
  t.strictSame(await readdir(join(t.testdirName, 'b/shop')), []);
});

t.test('a writer that is killed leaves no object, and its debris can be swept', async (t) => {
  const root = t.testdir();
  const program = `import { DirectoryStore } from ${JSON.stringify(new URL('../../installer/backup/store/directory-store.ts', import.meta.url).href)};
    async function* slow() { yield Buffer.alloc(1e6); process.stdout.write('writing'); await new Promise((r) => setTimeout(r, 60_000)); }
    await new DirectoryStore(${JSON.stringify(root)}).put('b/shop/daily/20260309T000000Z-abcdef/x', slow());`;
  const child = spawn(process.execPath, ['--input-type=module', '--eval', program], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  await new Promise((resolve) => child.stdout.once('data', resolve));
  const gone = new Promise((resolve) => child.once('exit', resolve));
  child.kill('SIGKILL');
  await gone;
  const store = new DirectoryStore(root);
  t.strictSame(await keys(store), []);
  t.equal(await store.abortUploads('b/', () => false), 0);
  t.equal(await store.abortUploads('b/', ({ key }) => key.startsWith('b/shop/daily/')), 1);
  t.strictSame(await readdir(root), [], 'empty folders go too');
});

t.test(
  'keys come sorted; a folder that cannot be read is an error, not a short list',
  async (t) => {
    const root = t.testdir();
    const store = new DirectoryStore(root);
    for (const key of ['b/2/x', 'b/10/x', 'b/1/y', 'b/1/x', 'c/x'])
      await store.putSmall(key, Buffer.from('1'));
    t.strictSame(await keys(store, 'b/'), ['b/1/x', 'b/1/y', 'b/10/x', 'b/2/x']);
    t.strictSame(await keys(store, 'b/1'), ['b/1/x', 'b/1/y', 'b/10/x']);
    await writeFile(join(root, 'file'), '');
    await t.rejects(keys(new DirectoryStore(join(root, 'file')), 'b/'), {
      code: 'store/unreachable',
    });
  },
);

async function debris(
  store: DirectoryStore,
  id: string,
  writer: string | undefined,
): Promise<void> {
  const folder = `b/shop/daily/${id}/`;
  if (writer !== undefined) {
    await store.putSmall(
      `${folder}run.json`,
      markerBytes({
        version: 1,
        id,
        startedAt: now.toISOString(),
        writer: { host: 'h', id: writer },
      }),
    );
  }
  await store.put(`${folder}db-shop.dump.age`, bytes('x'));
}

async function complete(store: DirectoryStore, id: string): Promise<void> {
  await debris(store, id, 'us');
  await store.putSmall(`b/shop/daily/${id}/manifest.json`, Buffer.from('{}'));
  await store.putSmall(`b/shop/daily/${id}/verified.json`, Buffer.from('{}'));
}

t.test(
  'a sweep takes our own debris at once, that of others after a day, and no backup',
  async (t) => {
    const store = new DirectoryStore(t.testdir());
    await complete(store, '20260301T000000Z-aaaaaa');
    await debris(store, '20260309T233000Z-bbbbbb', 'us');
    await debris(store, '20260309T233000Z-cccccc', 'another machine');
    await debris(store, '20260301T000000Z-dddddd', undefined);
    const soon = await sweep({ store, place, job: 'daily', writerId: 'us', now });
    t.strictSame(
      soon.removed,
      ['20260309T233000Z-bbbbbb'],
      'its files are from this minute, so the rest may be alive',
    );
    const later = new Date(Date.now() + 25 * 3_600_000);
    const then = await sweep({ store, place, job: 'daily', writerId: 'us', now: later });
    t.strictSame([...then.removed].sort(), ['20260301T000000Z-dddddd', '20260309T233000Z-cccccc']);
    t.strictSame(
      (await listStored(store, place, 'daily')).map(({ id }) => id),
      ['20260301T000000Z-aaaaaa'],
    );
  },
);

t.test('a server that was replaced sweeps nothing', async (t) => {
  const store = new DirectoryStore(t.testdir());
  await debris(store, '20260309T233000Z-bbbbbb', 'us');
  await takeOver(store, place, { host: 'new', id: 'them' }, ['us'], now);
  const swept = sweep({ store, place, job: 'daily', writerId: 'us', now });
  await t.rejects(swept, { code: 'backup/taken-over' });
  t.equal((await listStored(store, place, 'daily')).length, 1);
});

t.test(
  'a backup is removed manifest first, so that a kill leaves debris and no half backup',
  async (t) => {
    const store = new DirectoryStore(t.testdir());
    await complete(store, '20260301T000000Z-aaaaaa');
    const order: string[] = [];
    const watching = Object.assign(Object.create(store) as DirectoryStore, {
      list: (prefix: string) => store.list(prefix),
      delete: async (all: readonly string[]) => {
        order.push(...all.map((key) => key.slice(key.lastIndexOf('/') + 1)));
      },
    });
    await removeBackup(watching, place, 'daily', '20260301T000000Z-aaaaaa');
    t.equal(order[0], 'manifest.json');
    t.equal(order.at(-1), 'run.json', 'the sweep still knows whose it is');
  },
);

t.test('pruning removes what the rules give up', async (t) => {
  const store = new DirectoryStore(t.testdir());
  const ids = Array.from({ length: 6 }, (_, day) => `2026030${day + 1}T000000Z-aaaaaa`);
  for (const id of ids) await complete(store, id);
  const input = {
    store,
    place,
    job: 'daily',
    rules: { keepSeconds: 86_400 },
    timezone: 'UTC',
    now,
  };
  // The files were stored just now, which for these ids looks like a wrong clock.
  const stored = await listStored(store, place, 'daily');
  t.match(await prune({ ...input, stored }), { removed: [], held: /clocks/ });
  const honest = Object.assign(Object.create(store) as DirectoryStore, {
    async *list(prefix: string) {
      for await (const file of store.list(prefix))
        yield { ...file, storedAt: new Date('2026-03-06T00:00:00Z') };
    },
    delete: (all: readonly string[]) => store.delete(all),
  });
  const then = await listStored(honest, place, 'daily');
  t.match(await prune({ ...input, store: honest, stored: then }), { removed: ids.slice(0, 3) });
  t.strictSame(
    (await listStored(store, place, 'daily')).map(({ id }) => id),
    ids.slice(3).reverse(),
  );
});
