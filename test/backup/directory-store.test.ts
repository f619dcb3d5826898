import { spawn } from 'node:child_process';
import { mkdir, readdir, readFile, rename, rmdir, stat, unlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import t, { type Test } from 'tap';
import { listStored } from '../../installer/backup/inventory.ts';
import { prune } from '../../installer/backup/prune.ts';
import { DirectoryStore } from '../../installer/backup/store/directory-store.ts';
import { readSmall } from '../../installer/backup/store/store.ts';
import { STORE_MARK, StoreMark } from '../../installer/backup/store/store-mark.ts';
import { markerBytes, removeBackup, sweep } from '../../installer/backup/sweep.ts';
import { takeOver } from '../../installer/backup/take-over.ts';
import { LocalHost } from '../../installer/host/local.ts';
import { pathsUnder } from '../../installer/model/paths.ts';

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

/** A store of this server, opened anew for each use as every run does. */
function ownStore(
  t: Test,
  folder: string,
): { readonly open: () => DirectoryStore; memory: string } {
  const root = t.testdir({});
  const paths = pathsUnder(join(root, 'server'));
  const settings = { name: 'disk', path: join(root, folder) };
  return {
    open: () => new DirectoryStore(settings.path, new StoreMark(new LocalHost(), paths, settings)),
    memory: join(paths.agent, 'stores', 'disk.json'),
  };
}

t.test('the empty mount point of a disk that is gone is no store', async (t) => {
  const { open, memory } = ownStore(t, 'mnt');
  const disk = join(t.testdirName, 'mnt');
  await open().putSmall('b/x', Buffer.from('1'));
  const mark = await stat(join(disk, STORE_MARK));
  t.equal(mark.mode & 0o777, 0o600);
  await rename(disk, join(t.testdirName, 'unmounted'));
  await mkdir(disk);

  const refusal = { code: 'store/not-mounted', hint: new RegExp(`mount.*rm ${memory}`) };
  await t.rejects(open().putSmall('b/y', Buffer.from('2')), refusal);
  await t.rejects(keys(open()), refusal, 'nothing is taken for gone');
  await t.rejects(open().head('b/x'), refusal);
  await t.rejects(open().delete(['b/x']), refusal);
  await t.rejects(
    open().abortUploads('b/', () => true),
    refusal,
  );
  t.strictSame(await readdir(disk), [], 'nothing is written on the disk below');
  await rmdir(disk);
  await t.rejects(open().putSmall('b/y', Buffer.from('2')), refusal, 'also without a mount point');

  await rename(join(t.testdirName, 'unmounted'), disk);
  await open().putSmall('b/y', Buffer.from('2'));
  t.strictSame(await keys(open()), ['b/x', 'b/y']);
});

t.test('a mount whose other end is gone is a store that is away', async (t) => {
  for (const code of ['EIO', 'ENOTCONN', 'ESTALE', 'EHOSTDOWN', 'ENXIO']) {
    const mark = { requireSame: () => Promise.reject(Object.assign(new Error(code), { code })) };
    const store = new DirectoryStore(t.testdir(), mark as unknown as StoreMark);
    await t.rejects(keys(store), { code: 'store/unreachable', why: code });
  }
});

t.test('another disk in its place is refused until the server is told to forget', async (t) => {
  const { open, memory } = ownStore(t, 'mnt');
  const mark = join(t.testdirName, 'mnt', STORE_MARK);
  await open().putSmall('b/x', Buffer.from('1'));
  await writeFile(mark, 'of another\n');
  await t.rejects(keys(open()), { code: 'store/not-mounted', why: /another/ });
  await unlink(memory);
  await open().putSmall('b/y', Buffer.from('2'));
  t.equal(await readFile(mark, 'utf8'), 'of another\n', 'as a rebuilt server takes what it finds');
  await writeFile(mark, 'of a third\n');
  await t.rejects(keys(open()), { code: 'store/not-mounted' }, 'and keeps to it');
});

t.test('a store from before there were marks gets one by the first write alone', async (t) => {
  const { open } = ownStore(t, 'old');
  const folder = join(t.testdirName, 'old');
  await new DirectoryStore(folder).putSmall('b/x', Buffer.from('1'));
  t.strictSame(await keys(open()), ['b/x']);
  await open().head('b/x');
  await open().delete(['b/none']);
  t.strictSame(await readdir(folder), ['b'], 'reading writes nothing');
  const stores = Array.from({ length: 4 }, open);
  await Promise.all(stores.map((store, n) => store.putSmall(`b/${n}`, Buffer.from('2'))));
  t.strictSame((await readdir(folder)).sort(), [STORE_MARK, 'b']);
  t.strictSame(await keys(open()), ['b/0', 'b/1', 'b/2', 'b/3', 'b/x'], 'the mark is no object');
  const copied = new DirectoryStore(folder);
  t.equal(await copied.abortUploads('', () => true), 0, 'and no debris');
  t.equal((await keys(copied)).length, 5);
});

t.test('a store that the config moves elsewhere begins anew there', async (t) => {
  const { open } = ownStore(t, 'first');
  await open().putSmall('b/x', Buffer.from('1'));
  const paths = pathsUnder(join(t.testdirName, 'server'));
  const moved = { name: 'disk', path: join(t.testdirName, 'second') };
  const store = new DirectoryStore(moved.path, new StoreMark(new LocalHost(), paths, moved));
  await store.putSmall('b/x', Buffer.from('1'));
  t.strictSame(await keys(store), ['b/x']);
});
