import { spawn } from 'node:child_process';
import { readdir, readFile, rename, rm, utimes, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import t from 'tap';
import { listStored } from '../../installer/backup/inventory.ts';
import { backupPrefix } from '../../installer/backup/keys.ts';
import { restoreTestIdentityFile } from '../../installer/backup/recovery-keys.ts';
import { type Wish, withBackup } from '../../installer/backup/restore/choose-backup.ts';
import { restorePostgres } from '../../installer/backup/restore/restore-postgres.ts';
import { runRestoreTest } from '../../installer/backup/restore/restore-test.ts';
import { runBackup } from '../../installer/backup/run-backup.ts';
import { DirectoryStore } from '../../installer/backup/store/directory-store.ts';
import { BackupStack } from '../support/backup-stack.ts';
import { outcome } from './support/docker.ts';
import { platformImages } from './support/platform-images.ts';

const DAY = 86_400_000;
const { postgres = '' } = await platformImages('postgres');
const stack = await BackupStack.start(postgres);
t.teardown(() => stack.stop());
await stack.sql('postgres', 'CREATE ROLE shop LOGIN; CREATE DATABASE shop OWNER shop;');
await stack.sql('shop', 'CREATE TABLE orders AS SELECT generate_series(1, 1000) AS id;');

const folder = join(stack.root, 'store');
const copies = join(stack.paths.backups, '.local-copies');
const jobs = [stack.job({ keepLocalSeconds: 86_400 })];
const context = stack.context({ jobs });
const identityFile = restoreTestIdentityFile(stack.paths);
const dumpOf = (root: string, id: string): string =>
  join(root, backupPrefix(context.settings, 'daily', id), 'db-shop.dump.age');

let restored = 0;
/** Restores under a name of its own and gives the id that was taken. */
async function restore(wish: Partial<Wish> = {}): Promise<string> {
  restored += 1;
  const into = `check_${restored}`;
  return await withBackup(context, { kind: 'postgres', identityFile, ...wish }, async (backup) => {
    await restorePostgres(context, backup, { into, consent: async () => undefined });
    t.equal(await stack.sql(into, 'SELECT count(*) FROM orders'), '1000');
    return backup.manifest.id;
  });
}

async function flip(path: string): Promise<void> {
  const content = await readFile(path);
  content[content.length >> 1] = (content[content.length >> 1] ?? 0) ^ 1;
  await writeFile(path, content);
}

/** Where the store's folder was, a file stands: every request fails. */
async function withoutStore(work: () => Promise<void>): Promise<void> {
  await rename(folder, `${folder}.away`);
  await writeFile(folder, '');
  try {
    await work();
  } finally {
    await rm(folder);
    await rename(`${folder}.away`, folder);
  }
}

function warnings(): string[] {
  return stack.events.splice(0).flatMap((event) => (event.kind === 'warning' ? [event.code] : []));
}

async function holdfast(...argv: string[]) {
  const main = new URL('../../installer/cli/main.ts', import.meta.url).pathname;
  return await outcome(['env', `HOLDFAST_ROOT=${stack.root}`, process.execPath, main, ...argv]);
}

await stack.host.write(
  join(stack.paths.stack, 'agent', 'backup.json'),
  JSON.stringify(context.settings),
  { mode: 0o600, uid: 0, gid: 0 },
);

t.test('a restore reads the copy on this server and needs no store for it', async (t) => {
  const { id } = await runBackup(context, 'daily');
  warnings();
  await withoutStore(async () => {
    t.equal(await restore({ id }), id);
    t.strictSame(warnings(), [], 'by its id');
    t.equal(await restore(), id);
    t.strictSame(warnings(), ['store/unreachable'], 'the newest that is known');
    const listed = await holdfast('backup', 'list');
    t.match(listed, { code: 13, stdout: new RegExp(`${id}  daily .* here  +verified`) });
    t.match(await holdfast('backup', 'verify'), {
      code: 13,
      stderr: /copy on this server is whole/,
    });
  });
  t.match(await holdfast('backup', 'list'), { code: 0, stdout: /local, here {2}verified/ });
  t.match(await holdfast('backup', 'verify'), {
    code: 0,
    stdout: /is whole \(.*\); the copy on this server is whole/,
  });
});

t.test('a restore test proves the store, not the copy', async (t) => {
  const { id } = await runBackup(later(1), 'daily');
  await flip(dumpOf(folder, id));
  t.equal(await restore(), id, 'the copy is whole');
  await t.rejects(runRestoreTest(context), { code: 'backup/damaged', message: /bytes 0 to/ });
  await rm(join(folder, backupPrefix(context.settings, 'daily', id)), { recursive: true });
});

t.test('a damaged copy is passed over; without a store, it is refused', async (t) => {
  const { id } = await runBackup(later(2), 'daily');
  const path = dumpOf(copies, id);
  await flip(path);
  warnings();
  t.equal(await restore({ id }), id);
  t.strictSame(warnings(), ['restore/copy-passed-over']);
  t.match(await holdfast('backup', 'verify', id), { code: 12, stdout: /this server is damaged/ });
  await withoutStore(async () => {
    await t.rejects(restore({ id }), { code: 'store/unreachable' });
  });
  await rm(path);
  t.equal(await restore({ id }), id, 'also one that is not all there');
  t.equal(
    await stack.sql('postgres', "SELECT count(*) FROM pg_database WHERE datname LIKE '%restored%'"),
    '0',
  );
});

t.test('copies of a run that was killed go after a day', async (t) => {
  const child = spawn(
    process.execPath,
    [
      new URL('../support/run-backup-child.ts', import.meta.url).pathname,
      JSON.stringify(stack.identity()),
      JSON.stringify({ jobs }),
    ],
    { stdio: ['ignore', 'pipe', 'inherit'] },
  );
  const gone = new Promise((resolve) => child.once('exit', (_code, signal) => resolve(signal)));
  await new Promise<void>((resolve) => child.stdout.once('data', () => resolve()));
  child.kill('SIGKILL');
  t.equal(await gone, 'SIGKILL');
  const partials = async (): Promise<string[]> =>
    (await readdir(copies, { recursive: true, withFileTypes: true }))
      .filter(({ name }) => name.includes('.partial-'))
      .map(({ parentPath, name }) => join(parentPath, name));
  const [left = ''] = await partials();
  t.ok(left, 'half a copy is left');
  await runBackup(later(3), 'daily');
  t.strictSame(await partials(), [left], 'it may be of somebody who is at it');
  const old = new Date(Date.now() - 2 * DAY);
  await utimes(left, old, old);
  const { id } = await runBackup(later(4), 'daily');
  t.strictSame(await partials(), []);
  const kept = await listStored(new DirectoryStore(copies), context.settings, 'daily');
  t.ok(kept.find((one) => one.id === id)?.verified, 'the finished ones stay');
});

t.test('backups of two servers in one place: nobody guesses whose are meant', async (t) => {
  const file = join(stack.paths.agent, 'writer-id');
  const own = (await readFile(file, 'utf8')).trim();
  const mine = await restore();
  const other = '0b5e55ed-0000-4000-8000-000000000000';
  await writeFile(file, `${other}\n`);
  const { id: theirs } = await runBackup(later(5), 'daily');
  await t.rejects(restore(), {
    code: 'restore/several-servers',
    why: new RegExp(
      `id 0b5e55ed\\): 1, the newest ${theirs}[^]*id ${own.slice(0, 8)}\\): \\d+, the newest`,
    ),
    hint: /holdfast restore --from (?:0b5e55ed|\w{8})/,
  });
  t.match(await holdfast('restore', '--yes'), { code: 14, stderr: /backups of 2 servers/i });
  t.equal(await restore({ from: '0b5e55ed' }), theirs);
  t.equal(await restore({ from: own }), mine);
  t.equal(await restore({ id: theirs }), theirs, 'an id says it all');
  await t.rejects(restore({ from: 'elsewhere' }), { code: 'restore/unknown-server' });
  t.equal((await runRestoreTest(context)).dump?.backupId, theirs, 'of the server that it runs on');
  await writeFile(file, `${own}\n`);
  t.equal((await runRestoreTest(context)).dump?.backupId, mine);
});

/** Ids have a resolution of a second. */
function later(seconds: number): typeof context {
  return { ...context, now: () => new Date(Date.now() + seconds * 2000) };
}
