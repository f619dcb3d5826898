import { spawn } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { existsSync } from 'node:fs';
import { readdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import t from 'tap';
import { listStored } from '../../installer/backup/inventory.ts';
import { backupPrefix } from '../../installer/backup/keys.ts';
import { restoreTestIdentityFile } from '../../installer/backup/recovery-keys.ts';
import { runBackup } from '../../installer/backup/run-backup.ts';
import type { BackupSource } from '../../installer/model/backup-settings.ts';
import { BackupStack } from '../support/backup-stack.ts';
import { textOf } from '../support/runbook.ts';
import { outcome, until } from './support/docker.ts';
import { platformImages } from './support/platform-images.ts';

/** An accessory that holds data, saved and restored by commands of its own: MariaDB as Debian has it. */

const here = new URL('./mariadb/build.sh', import.meta.url).pathname;
const built = await outcome([here], 1200);
if (built.code !== 0) throw new Error(`image of MariaDB: ${built.stderr}`);
const { postgres = '' } = await platformImages('postgres');

const stack = await BackupStack.lab(postgres);
t.teardown(() => stack.stop());
const container = `${stack.project}-maria-1`;
const volume = `${stack.project}_maria`;
await stack.docker(['volume', 'create', ...stack.labels(), volume]);
await stack.docker([
  ...['run', '--detach', '--network', 'none', '--name', container, ...stack.labels()],
  ...['--label', 'com.docker.compose.service=maria'],
  ...['--volume', `${volume}:/var/lib/mysql`, built.stdout.trim()],
]);
const sql = (script: string) => outcome(['docker', 'exec', container, 'mariadb', '-Ne', script]);
await until('MariaDB answers', 60, async () => (await sql('SELECT 1')).code === 0);

const source = {
  ...{ kind: 'accessory', name: 'maria', container, volumes: [volume] },
  dump: ['mariadb-dump', '--single-transaction', '--routines', '--databases', 'shop'],
  restore: ['mariadb'],
} as const satisfies BackupSource;
const job = stack.job({ name: 'maria', source });
const contextOf = (over: Partial<typeof source> | object = {}) =>
  stack.context({ jobs: [{ ...job, source: { ...source, ...over } }] });
const context = contextOf();
const identityFile = restoreTestIdentityFile(stack.paths);

async function query(script: string): Promise<string> {
  const { code, stdout, stderr } = await sql(script);
  if (code !== 0) throw new Error(stderr);
  return stdout.trim();
}

/** What the tables hold, down to the byte: umlauts, blobs, generated columns. */
const digest = () =>
  query(`SELECT COUNT(*), MD5(GROUP_CONCAT(id, HEX(name), HEX(picture), total ORDER BY id)) FROM shop.orders;
    SELECT shop.double_it(21)`);

async function apply(settings = context.settings): Promise<void> {
  const file = join(stack.paths.stack, 'agent', 'backup.json');
  await stack.host.write(file, JSON.stringify(settings), { mode: 0o600, uid: 0, gid: 0 });
}

async function holdfast(...argv: string[]) {
  const main = new URL('../../installer/cli/main.ts', import.meta.url).pathname;
  return await outcome(['env', `HOLDFAST_ROOT=${stack.root}`, process.execPath, main, ...argv]);
}

await query(`SET GLOBAL group_concat_max_len = 1000000000; CREATE DATABASE shop CHARACTER SET utf8mb4; USE shop;
  CREATE TABLE orders (id INT PRIMARY KEY AUTO_INCREMENT, name VARCHAR(50), picture LONGBLOB, total INT AS (LENGTH(picture)) STORED);
  CREATE FUNCTION double_it(n INT) RETURNS INT DETERMINISTIC RETURN n * 2;
  INSERT INTO orders (name, picture) SELECT CONCAT('Müller ', seq), UNHEX(SHA2(seq, 512)) FROM seq_1_to_20000;`);
await apply();

t.test('a dump is stored, read back and listed, and no plain text of it is', async (t) => {
  const made = await holdfast('backup', 'run', 'maria');
  t.match(made, { code: 0, stdout: /^maria: \S+, .* read back and compared/ });
  const [stored] = await listStored(await context.openStore('local'), context.settings, 'maria');
  t.ok(stored?.verified);
  t.ok([...(stored?.files.keys() ?? [])].includes('accessory-maria.dump.zst.age'));
  const folder = join(
    stack.root,
    'store',
    backupPrefix(context.settings, 'maria', stored?.id ?? ''),
  );
  const manifest = await readFile(join(folder, 'manifest.json'), 'utf8');
  t.match(JSON.parse(manifest), {
    method: 'logical',
    source: { kind: 'accessory', name: 'maria' },
  });
  t.notMatch(manifest, 'single-transaction', 'commands are those of the config');
  t.match(await holdfast('backup', 'list'), {
    stdout: new RegExp(`${stored?.id} +maria .*verified`),
  });
  t.match(await holdfast('backup', 'verify'), {
    code: 0,
    stdout: /is whole \(checksums, decrypts\)/,
  });
});

t.test('restored by its own command, it is what it was, and what was there is kept', async (t) => {
  const before = await digest();
  await query('DELETE FROM shop.orders WHERE id % 2 = 0; DROP FUNCTION shop.double_it');
  const wrong = await query('SELECT COUNT(*) FROM shop.orders');
  t.match(
    await holdfast('restore', '--job', 'maria'),
    { code: 5, stderr: /--yes/ },
    'never unasked',
  );
  t.match(await holdfast('restore', '--job', 'maria', '--into', 'x', '--yes'), { code: 2 });
  t.equal(await query('SELECT COUNT(*) FROM shop.orders'), wrong);
  const restored = await holdfast('restore', '--job', 'maria', '--yes');
  t.match(restored, { code: 0, stdout: /its restore command took all of/ }, restored.stderr);
  t.equal(await digest(), before);
  const undo = /^ {2}(age .*)$/m.exec(restored.stdout)?.[1] ?? '';
  t.equal((await outcome(['sh', '-c', undo])).code, 0, undo);
  t.equal(await query('SELECT COUNT(*) FROM shop.orders'), wrong, 'the printed command undoes it');
  t.equal((await holdfast('restore', '--job', 'maria', '--yes')).code, 0);
  t.equal(await digest(), before);
});

t.test('the object can be read without us', async (t) => {
  const [stored] = await listStored(await context.openStore('local'), context.settings, 'maria');
  const folder = join(
    stack.root,
    'store',
    backupPrefix(context.settings, 'maria', stored?.id ?? ''),
  );
  await query('DROP DATABASE shop');
  const [block = ''] = /^for dump in accessory[^`]*/m.exec(textOf('without-holdfast')) ?? [];
  const { code, stderr } = await outcome([
    ...(['env', '-C', folder, 'sh', '-euc'] as const),
    `recovery_key=$1; set -- "$2"; ${block.replaceAll('recovery-key.txt', '"$recovery_key"')}docker exec -i "$1" mariadb <accessory-maria.dump`,
    ...['sh', identityFile, container],
  ]);
  t.equal(code, 0, stderr);
  t.match(await query('SELECT COUNT(*) FROM shop.orders'), '20000');
});

t.test('a dump that fails, is empty or never comes leaves nothing behind', async (t) => {
  const count = async () =>
    (await listStored(await context.openStore('local'), context.settings, 'maria')).length;
  const had = await count();
  const rows = [
    { dump: ['mariadb-dump', '--databases', 'nothing'], why: /Unknown database 'nothing'/ },
    { dump: ['sh', '-c', 'mariadb-dump --databases shop; exit 3'], why: /exit|failed/ },
    { dump: ['true'], why: /wrote nothing/ },
    { dump: ['no-such-program'], why: /no-such-program/ },
  ];
  for (const { dump, why } of rows) {
    await t.rejects(runBackup(contextOf({ dump }), 'maria'), {
      code: 'backup/accessory',
      message: why,
    });
  }
  t.equal(await count(), had);
  await stack.docker(['stop', container]);
  await t.rejects(runBackup(context, 'maria'), { code: 'backup/accessory-down' });
  await stack.docker(['start', container]);
  await until('MariaDB answers', 60, async () => (await sql('SELECT 1')).code === 0);
});

t.test('of a damaged backup not one byte reaches the restore command', async (t) => {
  const before = await digest();
  const { id } = await runBackup({ ...context, now: () => new Date(Date.now() + 5000) }, 'maria');
  const folder = join(stack.root, 'store', backupPrefix(context.settings, 'maria', id));
  const path = join(folder, 'accessory-maria.dump.zst.age');
  const content = await readFile(path);
  content[content.length - 20] = (content[content.length - 20] ?? 0) ^ 1;
  await writeFile(path, content);
  await query('CREATE TABLE shop.since (id INT)');
  t.match(await holdfast('restore', id, '--yes'), { code: 12, stderr: /damaged|bytes/i });
  t.equal(await query('SELECT COUNT(*) FROM shop.since'), '0', 'nothing was touched');
  t.match(await holdfast('restore', '--job', 'maria', '--yes'), {
    code: 0,
    stderr: /is damaged, so the one before it is used/,
  });
  t.equal(await digest(), before);
});

t.test('a restore that is killed is done again; what was there is never overwritten', async (t) => {
  const before = await digest();
  const wait = ['sh', '-c', 'head -c 1000 >/dev/null; touch /tmp/reading; sleep 600'];
  await apply(contextOf({ restore: wait }).settings);
  const main = new URL('../../installer/cli/main.ts', import.meta.url).pathname;
  const child = spawn(process.execPath, [main, 'restore', '--job', 'maria', '--yes'], {
    env: { ...process.env, HOLDFAST_ROOT: stack.root },
    stdio: 'ignore',
  });
  const gone = new Promise((resolve) => child.once('exit', (_code, signal) => resolve(signal)));
  await until('the restore command reads', 60, async () => {
    return (await outcome(['docker', 'exec', container, 'test', '-e', '/tmp/reading'])).code === 0;
  });
  child.kill('SIGKILL');
  t.equal(await gone, 'SIGKILL');
  const kept = join(stack.paths.backups, 'before-restore');
  const had = (await readdir(kept)).length;
  await writeFile(join(kept, `.partial-${randomBytes(6).toString('hex')}`), 'half');
  await apply();
  await query('TRUNCATE shop.orders');
  t.equal((await holdfast('restore', '--job', 'maria', '--yes')).code, 0);
  t.equal(await digest(), before);
  const files = await readdir(kept);
  t.equal(files.length, had + 1);
  t.notOk(files.some((name) => name.startsWith('.partial-')));
});

t.test('a restore command that fails says what it said, and where the old data is', async (t) => {
  await apply(contextOf({ restore: ['sh', '-c', 'echo no room >&2; exit 4'] }).settings);
  t.match(await holdfast('restore', '--job', 'maria', '--yes'), {
    code: 14,
    stderr: /before-restore[\s\S]*no room/,
  });
  await apply(contextOf({ restore: undefined }).settings);
  t.match(await holdfast('restore', '--job', 'maria', '--yes'), {
    code: 14,
    stderr: /restore command/,
  });
  await apply();
});

const files = {
  ...{ kind: 'volume', name: 'maria', volume, service: 'maria' },
  calm: {
    pause: true,
    before: ['sh', '-c', 'rm -f /tmp/woke; touch /var/lib/mysql/frozen'],
    after: ['sh', '-c', 'rm -f /var/lib/mysql/frozen; touch /tmp/woke'],
  },
} as const satisfies BackupSource;
const jobs = [job, stack.job({ name: 'files', source: files })];
const calm = stack.context({ jobs });
const inside = async (script: string) =>
  (await outcome(['docker', 'exec', container, 'sh', '-c', script])).code === 0;
const state = () => stack.docker(['inspect', '--format', '{{.State.Status}}', container]);
const journal = join(stack.paths.agent, 'calm', 'files.json');
/** Bytes that prove that files are being read; the tables alone have ten times as many. */
const ENOUGH = 150_000;
/** Looks, or fails, when the first bytes of the files come to the store. */
const atFirstBytes = (look: () => Promise<void>): typeof calm => ({
  ...calm,
  openStore: async (name) => {
    const store = await calm.openStore(name);
    const put = store.put.bind(store);
    store.put = async (key, body, expected) => {
      async function* watched(): AsyncGenerator<Uint8Array> {
        let bytes = 0;
        for await (const chunk of body) {
          // age begins before it has read anything.
          const isFirst = bytes < ENOUGH && bytes + chunk.length >= ENOUGH;
          bytes += chunk.length;
          if (isFirst) await look();
          yield chunk;
        }
      }
      // The marker of the run and the verdict come this way too.
      await put(key, key.includes('.tar') ? watched() : body, expected);
    };
    return store;
  },
});

t.test('a service is held still while its files are read, and no longer', async (t) => {
  let during = '';
  const { id } = await runBackup(
    atFirstBytes(async () => {
      during = await state();
    }),
    'files',
  );
  t.equal(during, 'paused');
  t.equal(await state(), 'running');
  t.ok(await inside('test -e /tmp/woke && ! test -e /var/lib/mysql/frozen'));
  const folder = join(stack.root, 'store', backupPrefix(calm.settings, 'files', id));
  const list = `age -d -i ${identityFile} ${folder}/volume-maria.tar.zst.age | zstd -d | tar -t`;
  t.match((await outcome(['sh', '-c', list])).stdout, /^\.\/frozen$/m, 'as `before` left it');
  t.notOk(existsSync(journal));
});

t.test('a backup that fails or is killed leaves nobody still', async (t) => {
  await t.rejects(
    runBackup(
      atFirstBytes(async () => Promise.reject(new Error('no store'))),
      'files',
    ),
    /no store/,
  );
  t.equal(await state(), 'running');
  t.ok(await inside('test -e /tmp/woke'), 'failed');

  const child = spawn(
    process.execPath,
    [
      new URL('../support/run-backup-child.ts', import.meta.url).pathname,
      ...[JSON.stringify(stack.identity()), JSON.stringify({ jobs }), 'files'],
    ],
    { stdio: ['ignore', 'pipe', 'inherit'] },
  );
  const gone = new Promise((resolve) => child.once('exit', (_code, signal) => resolve(signal)));
  await new Promise<void>((resolve) => child.stdout.once('data', () => resolve()));
  await until('it is held still', 60, async () => (await state()) === 'paused');
  child.kill('SIGKILL');
  t.equal(await gone, 'SIGKILL');
  await until('it is woken', 30, async () => (await state()) === 'running');
  await until('the command after it ran', 30, () => inside('test -e /tmp/woke'));

  // The machine went down with it: nobody is there to wake it but the next run, of whichever job.
  t.ok(existsSync(journal));
  await stack.docker(['exec', container, ...files.calm.before]);
  await stack.docker(['pause', container]);
  await runBackup(calm, 'maria');
  t.equal(await state(), 'running');
  t.ok(await inside('test -e /tmp/woke'));
  t.notOk(existsSync(journal));
});

t.test('a service that cannot be held still, or woken, fails the backup and is told', async (t) => {
  const withCalm = (over: Partial<typeof files.calm> | object) =>
    stack.context({
      jobs: [stack.job({ name: 'files', source: { ...files, calm: { ...files.calm, ...over } } })],
    });
  await t.rejects(runBackup(withCalm({ before: ['sh', '-c', 'echo busy >&2; exit 1'] }), 'files'), {
    code: 'backup/not-calm',
    message: /busy/,
  });
  t.equal(await state(), 'running');
  await t.rejects(runBackup(withCalm({ after: ['sh', '-c', 'echo stuck >&2; exit 1'] }), 'files'), {
    code: 'backup/not-awake',
    message: /stuck/,
  });
  t.equal(await state(), 'running', 'not paused in any case');
  t.ok(existsSync(journal), 'the next run tries again, by what the config says then');
  await runBackup(calm, 'files');
  t.notOk(existsSync(journal));
});
