import { mkdir, readdir, readFile, unlink, writeFile } from 'node:fs/promises';
import { availableParallelism } from 'node:os';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import t from 'tap';
import {
  containerPipe,
  openContainerPipe,
  toldEnding,
} from '../../installer/backup/container-pipe.ts';
import { exclusively } from '../../installer/backup/exclusive.ts';
import { listStored } from '../../installer/backup/inventory.ts';
import { backupPrefix } from '../../installer/backup/keys.ts';
import { ProductLoad } from '../../installer/backup/product-load.ts';
import { filteredOutput } from '../../installer/backup/program-output.ts';
import { readObject, readText } from '../../installer/backup/read-object.ts';
import { restoreTestIdentityFile } from '../../installer/backup/recovery-keys.ts';
import { withBackup } from '../../installer/backup/restore/choose-backup.ts';
import { databasesOf } from '../../installer/backup/restore/chosen-databases.ts';
import { restorePostgres } from '../../installer/backup/restore/restore-postgres.ts';
import { runBackup } from '../../installer/backup/run-backup.ts';
import { parseCatalog } from '../../installer/backup/sources/catalog.ts';
import { livePostgres } from '../../installer/backup/sources/open-source.ts';
import { openPhysicalSource } from '../../installer/backup/sources/physical.ts';
import type { ContainerPipe } from '../../installer/backup/sources/source.ts';
import { DirectoryStore } from '../../installer/backup/store/directory-store.ts';
import type { Store } from '../../installer/backup/store/store.ts';
import { STORE_MARK } from '../../installer/backup/store/store-mark.ts';
import { readManifest } from '../../installer/backup/verify.ts';
import { backupLock, jobLocks } from '../../installer/backup/wait-for-backups.ts';
import { type Marked, marked } from '../../installer/backup/whole-stream.ts';
import { startChild } from '../../installer/host/child.ts';
import { BackupStack, NOTHING_YOUNG } from '../support/backup-stack.ts';
import { until } from './support/docker.ts';
import { platformImages } from './support/platform-images.ts';

const { postgres = '' } = await platformImages('postgres');
const stack = await BackupStack.start(postgres);
t.teardown(() => stack.stop());
await stack.sql('postgres', 'CREATE ROLE shop LOGIN; CREATE DATABASE shop OWNER shop;');
await stack.sql(
  'shop',
  'CREATE TABLE orders AS SELECT i AS id, md5(i::text) AS note FROM generate_series(1, 5000) i;',
);
const folder = join(stack.root, 'store');

/** Stops dead at the n-th change: that one and all after it fail, as if the process were gone. */
class DyingStore implements Store {
  readonly description = 'dying store';
  readonly #inner: DirectoryStore;
  #left: number;
  died = false;

  constructor(root: string, changes: number) {
    this.#inner = new DirectoryStore(root);
    this.#left = changes;
  }
  #step(): void {
    if (this.#left === 0) this.died = true;
    if (this.died) throw new Error('killed');
    this.#left -= 1;
  }
  async put(key: string, body: AsyncIterable<Uint8Array>): Promise<void> {
    this.#step();
    await this.#inner.put(key, body);
  }
  async putSmall(key: string, content: Uint8Array): Promise<void> {
    this.#step();
    await this.#inner.putSmall(key, content);
  }
  async delete(keys: readonly string[]): Promise<void> {
    for (const key of keys) {
      this.#step();
      await this.#inner.delete([key]);
    }
  }
  get(...args: Parameters<Store['get']>): ReturnType<Store['get']> {
    return this.#inner.get(...args);
  }
  head(key: string): ReturnType<Store['head']> {
    return this.#inner.head(key);
  }
  list(prefix: string): ReturnType<Store['list']> {
    if (this.died) throw new Error('killed');
    return this.#inner.list(prefix);
  }
  abortUploads(...args: Parameters<Store['abortUploads']>): Promise<number> {
    return this.#inner.abortUploads(...args);
  }
  close(): void {
    this.#inner.close();
  }
}

t.test(
  'a run killed before any of its changes leaves nothing that passes for a backup',
  async (t) => {
    // Each run that comes to its end has an old one to remove: the last three verified ones stay.
    const clean = stack.context({ jobs: [stack.job({ keepRemote: NOTHING_YOUNG })] });
    for (let count = 0; count < 4; count += 1) await runBackup(clean, 'daily');
    let changes = 0;
    for (;;) {
      const store = new DyingStore(folder, changes);
      const context = { ...clean, openStore: async () => store };
      const failed = await runBackup(context, 'daily').then(
        () => false,
        () => true,
      );
      const stored = await listStored(new DirectoryStore(folder), clean.settings, 'daily');
      const verified = stored.filter((one) => one.verified).length;
      if (verified < 3) t.fail(`${verified} verified ones are left`);
      for (const { id, complete } of stored) {
        if (!complete) continue;
        const prefix = backupPrefix(clean.settings, 'daily', id);
        const { manifest } = await readManifest(new DirectoryStore(folder), prefix, id);
        for (const { name, size } of manifest.objects) {
          const found = await new DirectoryStore(folder).head(`${prefix}${name}`);
          if (found?.size !== size) t.fail(`${id} is called complete without ${name}`);
        }
      }
      if (!failed && !store.died) break;
      changes += 1;
      if (changes > 80) throw new Error('it never ends');
    }
    t.ok(changes > 12, `${changes} places to be killed at`);
    await runBackup(clean, 'daily');
    const left = await listStored(new DirectoryStore(folder), clean.settings, 'daily');
    t.ok(
      left.every(({ complete }) => complete),
      'the next run sweeps what was left',
    );
    const verified = left.filter((one) => one.verified).length;
    t.ok(verified >= 3 && verified < 6, `${verified} are left: what is old is gone`);
  },
);

t.test('the output of a program in the container comes by a pipe, or by the engine', async (t) => {
  const server = await livePostgres(stack.context(), 'holdfast-backup-daily');
  const failure = (exitCode: number, stderr: string): Error => new Error(`${exitCode} ${stderr}`);
  const read = async (
    { argv, plain }: Pick<Marked, 'argv' | 'plain'>,
    pipe: ContainerPipe | undefined,
  ) => {
    const program = { argv, plain, failure, ...(pipe === undefined ? {} : { pipe }) };
    return await text(filteredOutput(program, ['cat']));
  };
  const engine = marked(['echo', 'by the engine']);
  const piped = (script: string) => containerPipe(server, ['sh', '-c', script], 'out');
  t.equal(await read(engine, piped('echo by the pipe')), 'by the pipe\n');
  await t.rejects(read(engine, piped('echo half; echo no >&2; exit 3')), { message: '3 no\n' });
  const pipe = piped('echo never');
  if (pipe === undefined) throw new Error('the engine names no process of the container');
  const elsewhere = { ...pipe, path: `/proc/${process.pid}/root/tmp/holdfast-not-there` };
  t.equal(await read(engine, elsewhere), 'by the engine\n', 'a container that is not of here');
  const taken = { ...pipe, path: '/proc/self/status' };
  t.equal(await read(engine, taken), 'by the engine\n', 'what is no pipe is left alone');
  await t.rejects(read({ ...engine, argv: ['echo', 'half'] }, undefined), {
    message: '125 the engine lost sight of it: nobody knows how it ended',
  });

  const into = containerPipe(server, ['sh', '-c', 'wc -c'], 'in');
  const opened = into === undefined ? undefined : await openContainerPipe(into);
  if (opened === undefined) throw new Error('no pipe into the container');
  const writer = startChild({ argv: ['echo', 'four'], to: opened.end.fd });
  await opened.end.close();
  t.equal((await text(opened.program.stdout)).trim(), '5');
  t.equal((await writer.done).exitCode, 0);
  t.strictSame(await toldEnding(opened.program), { exitCode: 0, stderr: '' });
  const left = await stack.docker(['exec', stack.container, 'find', '/tmp', '-name', 'holdfast-*']);
  t.equal(left, '', 'no pipe stays');
});

t.test(
  'everything stored is encrypted to the key of the server and those of the user',
  async (t) => {
    const { stdout } = await stack.host.run({ argv: ['age-keygen'] });
    const [, key = ''] = /public key: (\S+)/.exec(stdout) ?? [];
    const context = stack.context({ recipients: [key] });
    const { id } = await runBackup(context, 'daily');
    const path = join(folder, backupPrefix(context.settings, 'daily', id));
    const names = await readdir(path);
    t.strictSame(
      names.filter((name) => name.endsWith('.age')),
      ['db-shop.catalog.json.age', 'db-shop.dump.age', 'globals.sql.age'],
    );
    for (const name of names.filter((one) => one.endsWith('.age'))) {
      const content = await readFile(join(path, name), 'latin1');
      t.match(
        content,
        /^age-encryption\.org\/v1\n(-> X25519 .*\n.*\n){2}/,
        `${name} has two recipients`,
      );
    }
    const manifest = await readFile(join(path, 'manifest.json'), 'utf8');
    t.notMatch(manifest, /orders/, 'the manifest names no table');
    t.match(JSON.parse(manifest), {
      encryption: { kind: 'age', recipients: [key, /^age1/] },
      tools: { compression: 'zstd:1' },
    });

    // The server's own key is lost: the next backup makes another, and the user's opens what was made before.
    await unlink(restoreTestIdentityFile(stack.paths));
    const { verifiedAt } = await runBackup(context, 'daily');
    t.ok(verifiedAt, 'read back by the new key');
    const identityFile = join(stack.root, 'user-key');
    await writeFile(identityFile, stdout, { mode: 0o600 });
    const old = { id, kind: 'postgres' } as const;
    await withBackup(context, { ...old, identityFile }, async (backup) => {
      for (const object of backup.manifest.objects) {
        for await (const chunk of readObject(backup, object)) void chunk;
      }
    });
  },
);

t.test('what is there can be read without us: age, pg_restore', async (t) => {
  const { id } = await runBackup(stack.context(), 'daily');
  const path = join(folder, 'backups', stack.project, 'daily', id, 'db-shop.dump.age');
  await stack.docker(['cp', path, `${stack.container}:/tmp/dump.age`]);
  const plain = await stack.host.run({
    argv: [
      'sh',
      '-c',
      'age -d -i "$1" "$2" | docker exec -i "$3" pg_restore --list',
      'sh',
      join(stack.paths.secrets, 'RESTORE_TEST_IDENTITY'),
      path,
      stack.container,
    ],
  });
  t.match(plain.stdout, /TABLE DATA public orders/);
});

t.test('no table is locked and no session left after a run that was killed for real', async (t) => {
  await stack.sql(
    'shop',
    'CREATE TABLE big AS SELECT i, repeat(md5(i::text), 20) AS pad FROM generate_series(1, 200000) i;',
  );
  const { spawn } = await import('node:child_process');
  const child = spawn(
    process.execPath,
    [
      new URL('../support/run-backup-child.ts', import.meta.url).pathname,
      JSON.stringify(stack.identity()),
    ],
    { stdio: ['ignore', 'pipe', 'inherit'] },
  );
  const gone = new Promise((resolve) => child.once('exit', (_code, signal) => resolve(signal)));
  await new Promise<void>((resolve) => child.stdout.once('data', () => resolve()));
  child.kill('SIGKILL');
  t.equal(await gone, 'SIGKILL');
  const stored = await listStored(new DirectoryStore(folder), stack.settings(), 'daily');
  t.equal(stored.filter(({ complete }) => !complete).length, 1, 'its debris is there');
  const { id } = await runBackup(stack.context(), 'daily');
  const after = await listStored(new DirectoryStore(folder), stack.settings(), 'daily');
  t.equal(after[0]?.id, id);
  t.ok(
    after.every(({ complete }) => complete),
    'the next run removed it',
  );
  // A client that has ended is noticed a moment later.
  await until('no session is left', 10, async () => {
    const ours = "SELECT count(*) FROM pg_stat_activity WHERE application_name LIKE 'holdfast%'";
    return (await stack.sql('postgres', ours)) === '0';
  });
  const partials = await readdir(folder, { recursive: true });
  t.notOk(
    partials.some((name) => name.includes('.partial-')),
    'no half-written file is left',
  );
});

t.test(
  'whoever changes a table while a dump waits for another one is not held up by our counting',
  async (t) => {
    // pg_dump locks tables in the order of their making, counting goes by name.
    await stack.sql(
      'shop',
      `CREATE TABLE before AS SELECT 1 AS i; CREATE TABLE held AS SELECT 1 AS i; CREATE TABLE after AS SELECT 1 AS i;`,
    );
    const holding = stack
      .sql('shop', 'BEGIN; LOCK TABLE held; SELECT pg_sleep(600);')
      .catch((error: Error) => error.message);
    const seen = async (what: string) =>
      (await stack.sql('postgres', `SELECT count(*) FROM pg_stat_activity WHERE ${what}`)) !== '0';
    await until('the table is held', 20, () => seen("wait_event = 'PgSleep'"));
    const events = stack.events.length;
    const running = runBackup(stack.context(), 'daily');
    running.catch(() => undefined);
    await until('the dump waits for it', 30, () =>
      seen("query LIKE 'LOCK TABLE%' AND wait_event_type = 'Lock'"),
    );
    // Had our session counted it by now, these two would wait for the dump, and the dump for them.
    await stack.sql('shop', "SET statement_timeout = '10s'; TRUNCATE after;");
    const changing = stack.sql('shop', "SET statement_timeout = '60s'; TRUNCATE before;");
    changing.catch(() => undefined);
    await until('somebody waits for the dump', 20, () =>
      seen("query LIKE '%TRUNCATE before%' AND wait_event_type = 'Lock'"),
    );
    await stack.sql(
      'postgres',
      "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE wait_event = 'PgSleep'",
    );
    t.match(await holding, /terminating connection/);
    const { id } = await running;
    await changing;
    const notices = stack.events.slice(events).filter(({ kind }) => kind === 'notice');
    t.match(notices, [
      {
        text: 'saved without a count of rows, since somebody changed them meanwhile or waited to: public.after, public.before in shop',
      },
    ]);
    const identityFile = restoreTestIdentityFile(stack.paths);
    await withBackup(stack.context(), { id, kind: 'postgres', identityFile }, async (backup) => {
      const [pair] = databasesOf(backup.manifest, {});
      if (pair === undefined) throw new Error('the backup has no database');
      const { tables } = parseCatalog(await readText(backup, pair.catalog));
      const rows = Object.fromEntries(tables.map(({ table, rows }) => [table, rows]));
      t.match(rows, { before: null, held: 1, after: null, orders: 5000 });
      const restored = await restorePostgres(stack.context(), backup, {
        into: 'counted',
        consent: async () => undefined,
      });
      t.match(restored, [{ name: 'counted' }]);
    });
    t.equal(await stack.sql('counted', 'SELECT count(*) FROM before'), '1', 'it was saved before');
    await stack.sql('postgres', 'DROP DATABASE counted;');
    await stack.sql('shop', 'DROP TABLE before, held, after;');
  },
);

t.test('a job does not overlap itself', async (t) => {
  const context = stack.context();
  const { host, paths } = context;
  const stored = () => listStored(new DirectoryStore(folder), context.settings, 'daily');
  const before = await stored();
  await exclusively(host, jobLocks(paths), backupLock('daily'), async () => {
    await t.rejects(runBackup(context, 'daily'), { code: 'lock/held' });
  });
  t.strictSame(await stored(), before, 'and the refused one left nothing');
});

t.test('a database that is not there fails before anything is stored', async (t) => {
  const context = stack.context({
    jobs: [stack.job({ name: 'lost', source: { kind: 'postgres', databases: ['nowhere'] } })],
  });
  await t.rejects(runBackup(context, 'lost'), { code: 'backup/no-database' });
  t.strictSame(await listStored(new DirectoryStore(folder), context.settings, 'lost'), []);
});

t.test('a disk that is too full is refused early, with figures', async (t) => {
  const store = '/proc/sys';
  const context = stack.context({ stores: [{ kind: 'directory', name: 'local', path: store }] });
  const settings = { ...context.settings, jobs: [stack.job({ name: 'full' })] };
  await t.rejects(
    runBackup({ ...context, settings, openStore: async () => new DirectoryStore(folder) }, 'full'),
    { code: 'preflight/disk-full', message: /are free; .* are needed/ },
  );
});

t.test(
  'a disk that fills up in mid-dump: said so, nothing is left, the next run succeeds',
  async (t) => {
    await stack.sql('postgres', 'CREATE DATABASE filling;');
    await stack.sql(
      'filling',
      "CREATE TABLE noise AS SELECT string_agg(md5(random()::text), '') AS pad FROM generate_series(1, 400000) i GROUP BY i % 4000;",
    );
    const small = join(stack.root, 'small');
    await mkdir(small);
    const mount = (...argv: [string, ...string[]]) => stack.host.run({ argv });
    await mount('mount', '-t', 'tmpfs', '-o', 'size=64m', 'tmpfs', small);
    t.teardown(() => mount('umount', '--lazy', small));
    const context = stack.context({
      stores: [{ kind: 'directory', name: 'small', path: small }],
      jobs: [
        stack.job({
          name: 'filling',
          store: 'small',
          source: { kind: 'postgres', databases: ['filling'] },
        }),
      ],
    });
    const locker = t.rejects(
      stack.sql('filling', 'BEGIN; LOCK TABLE noise; SELECT pg_sleep(600);'),
      'ended below',
    );
    const waiting = (what: string) =>
      stack.sql('postgres', `SELECT count(*) FROM pg_stat_activity WHERE ${what}`);
    await until(
      'the table is locked',
      30,
      async () => (await waiting("wait_event = 'PgSleep'")) === '1',
    );
    const run = t.rejects(runBackup(context, 'filling'), {
      code: 'store/full',
      why: 'the disk is full',
    });
    await until(
      'the dump waits',
      30,
      // Beside it the rows are counted, which waits as well.
      async () => (await waiting("wait_event_type = 'Lock' AND query LIKE 'LOCK TABLE%'")) === '1',
    );
    await writeFile(join(small, 'filler'), Buffer.alloc(60 * 1024 ** 2));
    await stack.sql(
      'postgres',
      "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE wait_event = 'PgSleep'",
    );
    await locker;
    await run;
    const left = (await readdir(small, { recursive: true, withFileTypes: true })).filter((one) =>
      one.isFile(),
    );
    t.strictSame(
      left.map(({ name }) => name).sort(),
      [STORE_MARK, 'filler'],
      'the half dump is gone',
    );
    await unlink(join(small, 'filler'));
    const { id } = await runBackup(context, 'filling');
    t.match(await listStored(new DirectoryStore(small), context.settings, 'filling'), [
      { id, verified: true },
    ]);
  },
);

t.test('local copies are kept beside the store and can be given up again', async (t) => {
  const job = stack.job({ name: 'copied', keepLocalSeconds: 86_400 });
  const context = stack.context({ jobs: [job] });
  const { id } = await runBackup(context, 'copied');
  const copies = new DirectoryStore(join(stack.paths.backups, '.local-copies'));
  t.match(await listStored(copies, context.settings, 'copied'), [{ id, verified: true }]);
  await runBackup(stack.context({ jobs: [stack.job({ name: 'copied' })] }), 'copied');
  t.strictSame(await listStored(copies, context.settings, 'copied'), []);
});

t.test('what the containers of the stack take of the processors is seen', async (t) => {
  const load = await ProductLoad.of(stack.context());
  t.ok(load.isKnown);
  // Of processor time, so that it does not matter what runs beside it.
  const burn = 'ulimit -t 1; while :; do :; done';
  load.look();
  const began = performance.now();
  const ended = stack.docker(['exec', stack.container, 'sh', '-c', burn]);
  const { code } = (await ended.catch((error: unknown) => error)) as { code?: number };
  t.ok([128 + 9, 128 + 24].includes(code ?? 0), 'the kernel ended it');
  const share = load.look();
  const used = (share * availableParallelism() * (performance.now() - began)) / 1_000;
  t.ok(used > 0.5 && used < 3, `${used} s of one that took one`);
});

t.test('a base backup hurries before the server gives up its WAL', async (t) => {
  const server = await livePostgres(stack.context(), 'holdfast-backup-hurry');
  const pressed = async (setting: string, megabytes: number): Promise<(boolean | undefined)[]> => {
    await stack.sql('postgres', `ALTER SYSTEM SET max_slot_wal_keep_size = '${setting}'`);
    await stack.sql('postgres', 'SELECT pg_reload_conf();');
    await stack.sql('postgres', 'CHECKPOINT;');
    const source = await openPhysicalSource(server, undefined, (problem) =>
      t.fail(problem.message),
    );
    try {
      const before = await source.isPressed?.();
      const message = `pg_logical_emit_message(false, 'fill', repeat('x', ${1024 ** 2}))`;
      await stack.sql('postgres', `SELECT ${message} FROM generate_series(1, ${megabytes});`);
      return [before, await source.isPressed?.()];
    } finally {
      await source.close();
    }
  };
  t.strictSame(await pressed('128MB', 16), [false, false]);
  t.strictSame(await pressed('128MB', 100), [false, true], 'more than half of it is written');
  t.strictSame(await pressed('-1', 100), [false, false], 'no bound: a gigabyte');
});

t.test('Postgres down: the error names it, and no object is left', async (t) => {
  await stack.docker(['stop', '--time', '10', stack.container]);
  const before = await listStored(new DirectoryStore(folder), stack.settings(), 'daily');
  await t.rejects(runBackup(stack.context(), 'daily'), {
    code: 'backup/postgres-down',
    message: new RegExp(stack.container),
  });
  const after = await listStored(new DirectoryStore(folder), stack.settings(), 'daily');
  t.strictSame(
    after.map(({ id }) => id),
    before.map(({ id }) => id),
  );
  const result = JSON.parse(
    await readFile(join(stack.paths.agent, 'results', 'daily.json'), 'utf8'),
  );
  t.match(result, {
    lastRun: { ok: false, code: 'backup/postgres-down' },
    failuresInARow: 1,
    lastSuccess: { id: String },
  });
  await stack.docker(['start', stack.container]);
  await stack.ready();
});

t.test('Postgres dies in mid-dump: the error names it, and no object is left', async (t) => {
  const context = stack.context({ jobs: [stack.job({ name: 'dying' })] });
  let killed: Promise<string> | undefined;
  const inner = new DirectoryStore(folder);
  const store: Store = Object.assign(Object.create(inner) as DirectoryStore, {
    putSmall: async (key: string, content: Uint8Array) => {
      await inner.putSmall(key, content);
      killed ??= stack.docker(['kill', '--signal', 'KILL', stack.container]);
      await killed;
    },
    put: (key: string, body: AsyncIterable<Uint8Array>) => inner.put(key, body),
    get: (key: string) => inner.get(key),
    head: (key: string) => inner.head(key),
    list: (prefix: string) => inner.list(prefix),
    delete: (keys: readonly string[]) => inner.delete(keys),
    abortUploads: (...args: Parameters<Store['abortUploads']>) => inner.abortUploads(...args),
    close: () => inner.close(),
  });
  await t.rejects(runBackup({ ...context, openStore: async () => store }, 'dying'));
  t.strictSame(await listStored(inner, context.settings, 'dying'), []);
  await stack.docker(['start', stack.container]);
  await stack.ready();
});

t.test('a dump for which there are too few locks says which setting helps', async (t) => {
  // What pg_dump says of a server with 100,000 partitions: the reason, then a statement with all their names.
  const said = `pg_dump: error: query failed: ERROR:  out of shared memory
HINT:  You might need to increase "max_locks_per_transaction".
pg_dump: detail: Query was: LOCK TABLE `;
  const script = `#!/bin/sh\necho '${said}' >&2\nyes public.orders, | head -c 300000 >&2\nexit 1\n`;
  await writeFile(join(stack.root, 'pg_dump'), script, { mode: 0o755 });
  const at = await stack.docker(['exec', stack.container, 'which', 'pg_dump']);
  await stack.docker(['cp', join(stack.root, 'pg_dump'), `${stack.container}:${at}`]);
  await t.rejects(runBackup(stack.context(), 'daily'), { code: 'backup/too-many-tables' });
});
