import { spawn } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { readdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as wait } from 'node:timers/promises';
import t from 'tap';
import type { BackupContext } from '../../installer/backup/context.ts';
import { helperArgv } from '../../installer/backup/helper-container.ts';
import { listStored } from '../../installer/backup/inventory.ts';
import { readText } from '../../installer/backup/read-object.ts';
import { restoreTestIdentityFile } from '../../installer/backup/recovery-keys.ts';
import { withBackup } from '../../installer/backup/restore/choose-backup.ts';
import { databasesOf } from '../../installer/backup/restore/chosen-databases.ts';
import { restoreDatabase } from '../../installer/backup/restore/restore-database.ts';
import { effortFor } from '../../installer/backup/restore/restore-effort.ts';
import {
  type FilesWish,
  restoreRedis,
  restoreVolume,
} from '../../installer/backup/restore/restore-files.ts';
import {
  type RestoreWish,
  restorePostgres,
} from '../../installer/backup/restore/restore-postgres.ts';
import { runRestoreTest } from '../../installer/backup/restore/restore-test.ts';
import { unfinishedSwaps } from '../../installer/backup/restore/swap-journal.ts';
import { finishSwaps } from '../../installer/backup/restore/volume-swap.ts';
import { runBackup } from '../../installer/backup/run-backup.ts';
import { parseCatalog } from '../../installer/backup/sources/catalog.ts';
import { livePostgres } from '../../installer/backup/sources/open-source.ts';
import { AppError } from '../../installer/errors.ts';
import { startChild } from '../../installer/host/child.ts';
import { BackupStack } from '../support/backup-stack.ts';
import { CuttingProxy } from '../support/cutting-proxy.ts';
import { platformImages } from './support/platform-images.ts';

const { postgres = '', redis = '' } = await platformImages('postgres', 'redis');
// As first process Postgres would take the clients below, once orphaned, for crashed servers of its own.
const stack = await BackupStack.start(postgres, ['--init', '--tmpfs', '/small:size=40m']);
t.teardown(() => stack.stop());
await stack.sql(
  'postgres',
  'CREATE ROLE shop LOGIN; CREATE ROLE auditor; CREATE DATABASE shop OWNER shop;',
);
await stack.sql(
  'postgres',
  `ALTER DATABASE shop SET search_path TO "$user", public; ALTER DATABASE shop SET work_mem TO '5MB';
   ALTER ROLE shop IN DATABASE shop SET statement_timeout TO '30s';
   REVOKE CONNECT ON DATABASE shop FROM PUBLIC; GRANT CONNECT ON DATABASE shop TO auditor;
   COMMENT ON DATABASE shop IS 'the shop''s own';`,
);
await stack.sql(
  'shop',
  `CREATE SCHEMA "Odd Name"; CREATE TABLE "Odd Name"."T'x" (id int); INSERT INTO "Odd Name"."T'x" VALUES (1), (2);
   CREATE EXTENSION pg_trgm;
   CREATE TABLE orders (id bigserial PRIMARY KEY, note text NOT NULL);
   INSERT INTO orders (note) SELECT md5(i::text) FROM generate_series(1, 20000) i;
   CREATE INDEX ON orders USING gin (note gin_trgm_ops);
   CREATE TABLE parts (id int, at date) PARTITION BY RANGE (at);
   CREATE TABLE parts_a PARTITION OF parts FOR VALUES FROM ('2026-01-01') TO ('2026-07-01');
   CREATE TABLE parts_b PARTITION OF parts FOR VALUES FROM ('2026-07-01') TO ('2027-01-01');
   INSERT INTO parts SELECT i, date '2026-01-01' + i FROM generate_series(0, 299) i;
   CREATE UNLOGGED TABLE scratch AS SELECT 1 AS one;
   CREATE VIEW v AS SELECT count(*) FROM orders; ALTER TABLE orders OWNER TO shop;
   SELECT lo_from_bytea(0, 'large object');`,
);
const context = stack.context();
const identityFile = restoreTestIdentityFile(stack.paths);
const yes: RestoreWish = { consent: async () => undefined };
/** Nobody else changes this server. */
const alone: Pick<FilesWish, 'holdServer'> = { holdServer: (work) => work() };
const properties = `SELECT (SELECT array_agg(acl::text ORDER BY acl::text) FROM unnest(datacl) acl), to_jsonb(d) - 'datacl' - 'oid' - 'datfrozenxid' - 'datminmxid' - 'datname' - 'dattablespace', shobj_description(oid, 'pg_database'),
  (SELECT jsonb_agg(jsonb_build_array(setrole, setconfig) ORDER BY setrole) FROM pg_db_role_setting WHERE setdatabase = d.oid)
  FROM pg_database d WHERE datname = 'shop';`;

const restore = (wish: RestoreWish, id?: string) =>
  withBackup(
    context,
    { kind: 'postgres', identityFile, ...(id === undefined ? {} : { id }) },
    (backup) => restorePostgres(context, backup, wish),
  );

t.test('restored and swapped, a database is what it was, and the old one is kept', async (t) => {
  const { id } = await runBackup(context, 'daily');
  const before = await stack.sql('postgres', properties);
  await stack.sql(
    'shop',
    "TRUNCATE orders; INSERT INTO orders (note) VALUES ('after the backup');",
  );
  let asked = '';
  const [restored] = await restore({
    consent: async (question) => {
      asked = question;
    },
  });
  t.match(
    asked,
    /Everything written since .* ago, will be missing from: shop \(kept as shop_before_/,
  );
  t.match(restored, {
    database: 'shop',
    name: 'shop',
    kept: /^shop_before_\w+$/,
    tables: 5,
    rows: 20303,
  });
  t.equal(await stack.sql('shop', 'SELECT count(*) FROM orders'), '20000');
  t.equal(
    await stack.sql(
      'shop',
      "SELECT convert_from(lo_get(oid), 'UTF8') FROM pg_largeobject_metadata",
    ),
    'large object',
  );
  t.equal(await stack.sql('shop', "SELECT nextval('orders_id_seq') > 20000"), 't');
  t.equal(await stack.sql('postgres', properties), before, 'owner, rights, settings, comment');
  t.equal(await stack.sql(restored?.kept ?? '', 'SELECT note FROM orders'), 'after the backup');
  t.match(await restore({ ...yes, into: 'elsewhere' }, id), [{ name: 'elsewhere', rows: 20303 }]);
  await t.rejects(restore({ ...yes, into: 'elsewhere' }, id), { code: 'restore/name-taken' });
  await stack.sql('postgres', 'DROP DATABASE elsewhere');
});

t.test('databases that the config does not name are saved, told, and come back', async (t) => {
  await stack.sql(
    'postgres',
    `CREATE ROLE tenant LOGIN; CREATE DATABASE "Tenant 7" OWNER tenant;
     CREATE DATABASE closed ALLOW_CONNECTIONS false; CREATE TABLE notes AS SELECT 1 AS id;
     CREATE SCHEMA holdfast; CREATE TABLE holdfast.heartbeat (id int);`,
  );
  await stack.sql(
    'Tenant 7',
    `CREATE TABLE bills AS SELECT i FROM generate_series(1, 7) i; CREATE SCHEMA evil;
     CREATE FUNCTION evil.pg_encoding_to_char(int) RETURNS name LANGUAGE plpgsql AS $$ BEGIN RAISE EXCEPTION 'as %', current_user; END $$;
     CREATE FUNCTION frozen() RETURNS event_trigger LANGUAGE plpgsql AS $$ BEGIN RAISE EXCEPTION 'frozen'; END $$;
     CREATE EVENT TRIGGER frozen ON ddl_command_start EXECUTE FUNCTION frozen();`,
  );
  await stack.sql(
    'postgres',
    `ALTER DATABASE "Tenant 7" SET default_transaction_read_only = on; ALTER DATABASE "Tenant 7" SET role = auditor;
     ALTER DATABASE "Tenant 7" SET statement_timeout = '1ms'; ALTER DATABASE "Tenant 7" SET search_path = evil, pg_catalog;`,
  );
  stack.events.length = 0;
  const { id } = await runBackup(context, 'daily');
  t.match(
    stack.events.filter(({ kind }) => kind === 'notice'),
    [{ text: 'also saved: Tenant 7, postgres, which config.yaml does not name' }],
    'neither what a restore has put aside nor what nobody may connect to',
  );
  t.match(
    stack.events.filter(({ kind }) => kind === 'warning'),
    [{ code: 'backup/not-dumped', text: /: closed \(takes no/ }, { code: 'backup/no-recipients' }],
  );
  t.match(await runRestoreTest(context), { dump: { backupId: id, databases: 3, rows: 20311 } });
  await stack.sql('postgres', 'DROP DATABASE "Tenant 7"');
  await stack.sql('postgres', 'DROP ROLE tenant');
  const restored = await restore(yes, id);
  t.match(restored, [
    { database: 'shop', rows: 20303 },
    { database: 'Tenant 7', kept: undefined, rows: 7 },
  ]);
  const owner = 'SELECT pg_get_userbyid(datdba) FROM pg_database WHERE datname =';
  t.equal(await stack.sql('postgres', `${owner} 'Tenant 7'`), 'tenant');
  t.equal(
    await stack.sql(
      'postgres',
      `SELECT setconfig FROM pg_db_role_setting JOIN pg_database d ON d.oid = setdatabase WHERE datname = 'Tenant 7'`,
    ),
    '{default_transaction_read_only=on,role=auditor,statement_timeout=1ms,"search_path=evil, pg_catalog"}',
    "they come back, and were in nobody's way",
  );
  const told = stack.events.map((event) => ('text' in event ? event.text : '')).join('\n');
  t.match(told, /tables in postgres .* --database postgres --into NAME/);
  await t.rejects(restore({ ...yes, database: 'postgres' }, id), {
    code: 'restore/maintenance-database',
  });
  const beside = { ...yes, database: 'postgres', into: 'beside' };
  t.match(await restore(beside, id), [{ name: 'beside', rows: 1 }]);
  await stack.sql('postgres', 'DROP TABLE notes; DROP TABLE holdfast.heartbeat');
  await stack.sql('postgres', 'DROP SCHEMA holdfast');
  for (const name of ['"Tenant 7"', 'closed', 'beside']) {
    await stack.sql('postgres', `DROP DATABASE ${name}`);
  }
  stack.events.length = 0;
  await runBackup(context, 'daily');
  t.strictSame(
    stack.events.filter(({ kind }) => kind === 'notice'),
    [],
    'an empty `postgres`, and our heartbeat in it, are nothing to save',
  );
});

t.test('a no leaves the live database as it is', async (t) => {
  await stack.sql('shop', "INSERT INTO orders (note) VALUES ('still here')");
  const refused = new AppError({ code: 'consent/refused', what: 'no', hint: 'none' });
  await t.rejects(
    restore({
      consent: async () => {
        throw refused;
      },
    }),
    { code: 'consent/refused' },
  );
  t.equal(await stack.sql('shop', "SELECT count(*) FROM orders WHERE note = 'still here'"), '1');
  const left = await stack.sql(
    'postgres',
    "SELECT count(*) FROM pg_database WHERE datname LIKE '%restored%'",
  );
  t.equal(left, '0', 'what was restored is gone again');
  await stack.sql('shop', "DELETE FROM orders WHERE note = 'still here'");
});

t.test('roles that are missing come back, those that are there stay as they are', async (t) => {
  await stack.sql(
    'postgres',
    "CREATE ROLE reports LOGIN PASSWORD 'then'; GRANT shop TO reports; ALTER ROLE reports SET work_mem TO '9MB';",
  );
  await stack.sql('shop', 'GRANT SELECT ON orders TO reports');
  const { id } = await runBackup(context, 'daily');
  await stack.sql('shop', 'REVOKE ALL ON orders FROM reports; DROP OWNED BY reports;');
  await stack.sql('postgres', "DROP ROLE reports; ALTER ROLE shop PASSWORD 'newer';");
  const password = await stack.sql(
    'postgres',
    "SELECT rolpassword FROM pg_authid WHERE rolname = 'shop'",
  );
  await restore({ ...yes, into: 'with_roles' }, id);
  t.equal(
    await stack.sql('with_roles', "SELECT has_table_privilege('reports', 'orders', 'SELECT')"),
    't',
  );
  t.equal(
    await stack.sql('postgres', "SELECT rolconfig FROM pg_roles WHERE rolname = 'reports'"),
    '{work_mem=9MB}',
  );
  t.equal(await stack.sql('postgres', "SELECT pg_has_role('reports', 'shop', 'MEMBER')"), 't');
  t.equal(
    await stack.sql('postgres', "SELECT rolpassword FROM pg_authid WHERE rolname = 'shop'"),
    password,
  );
});

t.test('the swap gets through while clients hammer the database', async (t) => {
  const clients = Array.from({ length: 4 }, () =>
    spawn('docker', [
      'exec',
      '-i',
      '-u',
      'postgres',
      stack.container,
      'sh',
      '-c',
      'while :; do psql -XqAt -d shop -c "BEGIN; SELECT count(*) FROM orders; SELECT pg_sleep(30)" >/dev/null 2>&1; done',
    ]),
  );
  try {
    let connected = '0';
    while (Number(connected) < 4) {
      connected = await stack.sql(
        'postgres',
        "SELECT count(*) FROM pg_stat_activity WHERE datname = 'shop' AND state <> 'idle'",
      );
    }
    const [restored] = await restore(yes);
    t.match(restored, { name: 'shop', kept: /^shop_before_/ });
  } finally {
    for (const client of clients) client.kill('SIGKILL');
    await stack.docker([
      'exec',
      stack.container,
      'sh',
      '-c',
      'for p in /proc/[0-9]*; do if tr "\\0" " " <$p/cmdline 2>/dev/null | grep -q "^sh -c while"; then kill ${p#/proc/}; fi; done',
    ]);
    await stack.sql(
      'postgres',
      "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname LIKE 'shop%'",
    );
  }
});

/** Restores in a process of its own and kills it once it tells of a phase; null when it was quicker than we. */
async function killedRestore(at: RegExp): Promise<unknown> {
  const program = new URL('../support/restore-child.ts', import.meta.url).pathname;
  const child = spawn(process.execPath, [program, JSON.stringify(stack.identity())], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  const gone = new Promise<unknown>((resolve) =>
    child.once('exit', (_code, signal) => resolve(signal)),
  );
  const told = new Promise<void>((resolve) => {
    child.stdout.on('data', (line: Buffer) => {
      if (at.test(line.toString())) resolve();
    });
  });
  await Promise.race([told, gone]);
  child.kill('SIGKILL');
  return gone;
}

for (const [phase, at] of [
  ['restoring', /restoring/],
  ['checking', /checking/],
  ['swapping', /swapping/],
] as const) {
  t.test(
    `a restore killed while ${phase}: the live database is whole, and the next one gets through`,
    async (t) => {
      await stack.sql('shop', "INSERT INTO orders (note) VALUES ('newest')");
      let signal = await killedRestore(at);
      for (let missed = 1; signal === null && missed < 5; missed += 1) {
        t.equal(await stack.sql('shop', 'SELECT count(*) FROM orders'), '20000', 'it was done');
        signal = await killedRestore(at);
      }
      t.equal(signal, 'SIGKILL');
      t.match(
        await stack.sql('shop', 'SELECT count(*) FROM orders'),
        /^2000\d$/,
        'one of the two, never neither',
      );
      await restore(yes);
      t.equal(await stack.sql('shop', 'SELECT count(*) FROM orders'), '20000');
      const left = await stack.sql(
        'postgres',
        "SELECT count(*) FROM pg_database WHERE datname LIKE '%restored%'",
      );
      t.equal(left, '0');
      t.equal(
        await stack.docker([
          'exec',
          stack.container,
          'sh',
          '-c',
          'ls $PGDATA | grep -c holdfast || true',
        ]),
        '0',
        'no archive stays in the clear',
      );
    },
  );
}

t.test('a key that does not fit is told, and nothing is made', async (t) => {
  const { stdout } = await stack.host.run({ argv: ['age-keygen'] });
  const other = join(stack.root, 'other-key');
  await writeFile(other, stdout, { mode: 0o600 });
  await t.rejects(
    withBackup(context, { kind: 'postgres', identityFile: other }, (backup) =>
      restorePostgres(context, backup, yes),
    ),
    { code: 'restore/wrong-identity' },
  );
});

t.test('another encoding, names beyond ASCII and a tablespace come back', async (t) => {
  await stack.docker(['exec', '--user', 'postgres', stack.container, 'mkdir', '/tmp/space']);
  const latin = "ENCODING LATIN1 LOCALE 'C' TEMPLATE template0";
  await stack.sql(
    'postgres',
    `CREATE TABLESPACE space LOCATION '/tmp/space'; CREATE DATABASE latin ${latin};
     COMMENT ON DATABASE latin IS 'from Köln';`,
  );
  const utf8 = 'SET client_encoding = UTF8;';
  await stack.sql(
    'latin',
    `${utf8} CREATE TABLE "Straße" (note text PRIMARY KEY) TABLESPACE space; INSERT INTO "Straße" VALUES ('déjà vu');`,
  );
  await stack.sql(
    'latin',
    "CREATE SUBSCRIPTION feed CONNECTION 'dbname=nowhere' PUBLICATION p WITH (connect = false, slot_name = NONE)",
  );
  const job = stack.job({ name: 'latin', source: { kind: 'postgres', databases: ['latin'] } });
  const base = stack.job({ name: 'base', method: 'physical' });
  const old = stack.context({ jobs: [job, base] });
  const made = await runBackup(old, 'latin');
  t.ok(made.verifiedAt);
  await stack.sql('latin', `${utf8} DELETE FROM "Straße"`);
  const choice = { kind: 'postgres', job: 'latin', identityFile } as const;
  const again = () =>
    withBackup(old, choice, (backup) =>
      restorePostgres(old, backup, { ...yes, database: 'latin' }),
    );
  const [restored] = await again();
  t.match(restored, { database: 'latin', tables: 1, rows: 1 });
  const where = `(SELECT spcname FROM pg_tablespace WHERE oid = reltablespace)`;
  t.equal(
    await stack.sql(
      'latin',
      `${utf8} SELECT note, current_setting('server_encoding'), ${where} FROM "Straße", pg_class WHERE relname = 'Straße'`,
    ),
    'déjà vu|LATIN1|space',
  );
  const comment = "SELECT shobj_description(oid, 'pg_database') FROM pg_database";
  t.equal(await stack.sql('postgres', `${comment} WHERE datname = 'latin'`), 'from Köln');
  await t.rejects(runBackup(old, 'base'), { code: 'backup/tablespaces', hint: /SET TABLESPACE/ });

  await stack.sql(restored?.kept ?? '', 'DROP SUBSCRIPTION feed');
  for (const name of ['latin', restored?.kept])
    await stack.sql('postgres', `DROP DATABASE ${name}`);
  await stack.sql('postgres', 'DROP TABLESPACE space');
  stack.events.length = 0;
  t.match(
    await again(),
    [{ database: 'latin', rows: 1 }],
    'on a server that has no such tablespace',
  );
  const warned = stack.events.filter(({ kind }) => kind === 'warning');
  t.match(warned, [
    { code: 'restore/no-tablespace', text: /^the tablespace space is/ },
    { code: 'restore/no-subscription', text: /^latin came without its subscription feed/ },
  ]);
});

t.test(
  'a disk that fills up in mid-restore: said so, nothing is left, the next one goes through',
  async (t) => {
    await stack.docker(['exec', '--user', 'postgres', stack.container, 'mkdir', '/small/space']);
    await stack.sql(
      'postgres',
      "CREATE TABLESPACE small LOCATION '/small/space'; CREATE DATABASE large;",
    );
    const fill = 'SELECT i, repeat(md5(i::text), 30) AS pad FROM generate_series(1, 24000) i';
    await stack.sql('large', `CREATE TABLE rows TABLESPACE small AS ${fill}`);
    const source = { kind: 'postgres', databases: ['large'] } as const;
    const larger = stack.context({ jobs: [stack.job({ name: 'large', source })] });
    await runBackup(larger, 'large');
    const choice = { kind: 'postgres', job: 'large', identityFile } as const;
    const again = () =>
      withBackup(larger, choice, (backup) =>
        restorePostgres(larger, backup, { ...yes, database: 'large' }),
      );
    await t.rejects(again(), { message: /No space left on device/ });
    t.equal(
      await stack.sql('large', 'SELECT count(*) FROM rows'),
      '24000',
      'the live one is whole',
    );
    const names = "SELECT string_agg(datname, ' ') FROM pg_database WHERE datname ~ '^large'";
    t.equal(await stack.sql('postgres', names), 'large', 'and alone');
    await stack.sql('large', 'TRUNCATE rows');
    t.match(await again(), [{ database: 'large', rows: 24000 }]);
    await stack.sql('postgres', 'CHECKPOINT');
  },
);

t.test(
  'a database that cannot be made is told, and neither it nor its archive is left',
  async (t) => {
    const server = await livePostgres(context, 'holdfast-restore');
    const failing = withBackup(context, { kind: 'postgres', identityFile }, async (backup) => {
      const [pair] = databasesOf(backup.manifest, {});
      if (pair === undefined) throw new Error('the backup has no database');
      const catalog = parseCatalog(await readText(backup, pair.catalog));
      const database = { ...catalog.database, datcollate: 'xx_XX', datctype: 'xx_XX' };
      await restoreDatabase({
        ...{ server, backup, object: pair.object, target: 'unmade', foreignServer: false },
        catalog: { ...catalog, database },
        effort: effortFor(1, 256 * 1024 ** 2),
      });
    });
    await t.rejects(failing, { code: 'backup/sql', why: /xx_XX/ });
    t.equal(await stack.sql('postgres', "SELECT 1 FROM pg_database WHERE datname = 'unmade'"), '');
    const folders = await stack.sql('postgres', "SELECT pg_ls_dir('.')");
    t.notMatch(folders, /holdfast-restore/);
    t.match(folders, /pg_wal/);
  },
);

t.test(
  'the restore test counts rows, checks pages, asks the assertions, and leaves nothing',
  async (t) => {
    const settings = { ...context.settings, assertions: ['SELECT count(*) = 20000 FROM orders'] };
    t.match(await runRestoreTest({ ...context, settings }), {
      dump: { databases: 1, tables: 5, rows: 20303, seconds: Number },
      pointInTime: undefined,
    });
    t.match(
      JSON.parse(await readFile(join(stack.paths.agent, 'results', 'restore-test.json'), 'utf8')),
      { version: 1, lastRun: { ok: true }, lastSuccess: { rows: 20303 } },
    );
    await t.rejects(
      runRestoreTest({
        ...context,
        settings: { ...settings, assertions: ['SELECT count(*) = 0 FROM orders'] },
      }),
      {
        code: 'restore/assertion-failed',
      },
    );
    const helpers = await stack.docker([
      'ps',
      '-aq',
      '--filter',
      `label=io.holdfast.project=${stack.project}`,
      '--filter',
      'label=io.holdfast.component=backup',
    ]);
    t.equal(helpers, '');
  },
);

const SYSCALLS =
  'require POSIX; my ($set, $get) = (POSIX::uname())[4] eq "aarch64" ? (5, 8) : (188, 191); ';
const ACL =
  '0200000001000600ffffffff02000400e703000004000400ffffffff10000400ffffffff20000000ffffffff';
/** File, attribute, value. */
const ATTRIBUTES = [
  ...['/data/able', 'security.capability', '0100000200040000000000000000000000000000'],
  ...['/data/listed', 'system.posix_acl_access', ACL],
  ...['/data/a', 'system.posix_acl_default', ACL],
];

t.test('what a helper puts out is in no log, and its last words arrive all the same', async (t) => {
  const volume = `${stack.project}-helped`;
  await stack.docker(['volume', 'create', ...stack.labels(), volume]);
  const helper = startChild({
    argv: helperArgv({
      project: stack.project,
      task: 'log',
      image: postgres,
      argv: ['sh', '-c', 'echo data; read -r go; echo why >&2; exit 3'],
      volume: { name: volume, readOnly: true },
      capabilities: [],
    }),
  });
  await once(helper.stdout, 'data');
  const label = 'label=io.holdfast.backup-task=log';
  const id = await stack.docker(['ps', '-q', '--filter', label]);
  const format = '{{.HostConfig.LogConfig.Type}}';
  t.equal(await stack.docker(['inspect', '--format', format, id]), 'none');
  helper.stdin.end('go\n');
  t.match(await helper.done, { exitCode: 3, stderr: /^why$/m });
});

t.test(
  'a volume comes back with owners, modes, links and odd names; what was there is kept',
  async (t) => {
    const volume = `${stack.project}-uploads`;
    await stack.docker([
      'volume',
      'create',
      '--label',
      `io.holdfast.project=${stack.project}`,
      volume,
    ]);
    const user = await stack.docker([
      'run',
      '--detach',
      '--init',
      ...stack.labels(),
      '--network',
      'none',
      '--volume',
      `${volume}:/data`,
      '--entrypoint',
      'sleep',
      postgres,
      'infinity',
    ]);
    const inside = (script: string) => stack.docker(['exec', user, 'sh', '-c', script]);
    await inside(
      'cd /data && chmod 2750 . && mkdir -p a/b && echo one >a/b/one && ln -s one a/b/link && ln a/b/one a/hard && printf x >"new\nline" && chown -R 33:44 a && chmod 600 a/b/one && touch -d 2020-02-29 a/b/one && truncate -s 100M sparse',
    );
    // setxattr and getxattr; neither setcap nor setfacl is in the image. CAP_NET_BIND_SERVICE; uid 999 may read.
    const attributes = (script: string) =>
      stack.docker(['exec', user, 'perl', '-e', `${SYSCALLS}${script}`, ...ATTRIBUTES]);
    await inside('cd /data && cp a/b/one able && cp a/b/one listed && ln able a/able');
    await attributes(
      'while (my ($f, $n, $v) = splice @ARGV, 0, 3) { $v = pack "H*", $v; syscall($set, $f, $n, $v, length $v, 0) == 0 or die "$f: $!" }',
    );
    const shown = () =>
      attributes(
        'while (my ($f, $n) = splice @ARGV, 0, 3) { my $v = "\\0" x 99; my $l = syscall($get, $f, $n, $v, 99); print unpack("H*", substr $v, 0, $l), "\\n" }',
      );
    const values = ATTRIBUTES.filter((_word, index) => index % 3 === 2).join('\n');
    t.equal(await shown(), values);
    const listing =
      'cd /data && find . -not -path "./.holdfast*" -printf "%p %y %m %U:%G %s %l %TY\\n" | grep -v "^. d" | sort';
    const before = await inside(listing);
    const volumes = stack.context({
      jobs: [
        stack.job({
          name: 'files',
          source: { kind: 'volume', name: 'uploads', volume, service: 'web' },
        }),
      ],
    });
    const made = await runBackup(volumes, 'files');
    t.ok(made.bytes < 1024 * 1024, 'a sparse file costs nothing');
    await inside('cd /data && rm -rf a able listed sparse && echo lost >later');
    const asked: string[] = [];
    const { kept } = await withBackup(volumes, { kind: 'volume', identityFile }, (backup) =>
      restoreVolume(volumes, backup, {
        ...alone,
        consent: async (question) => void asked.push(question),
      }),
    );
    t.match(asked, [/will be stopped for a moment/]);
    t.equal(await inside(listing), before);
    t.equal(await inside('stat -c %a /data'), '2750');
    t.equal(await shown(), values, 'file capabilities, lists of rights');
    t.equal(await readFile(join(kept, 'later'), 'utf8'), 'lost\n');
    t.equal(await stack.docker(['inspect', '--format', '{{.State.Running}}', user]), 'true');
  },
);

t.test('a stream that is cut is no backup, and no restore', async (t) => {
  const volume = `${stack.project}-cut`;
  await stack.docker(['volume', 'create', ...stack.labels(), volume]);
  const at = ['volume', 'inspect', '--format', '{{.Mountpoint}}', volume];
  const folder = await stack.docker(at);
  for (const name of ['a', 'b', 'c', 'd'])
    await writeFile(join(folder, name), randomBytes(300_000));
  const source = { kind: 'volume', name: 'cut', volume, service: 'web' } as const;
  const volumes = stack.context({ jobs: [stack.job({ name: 'cut', source })] });
  const socket = join(stack.root, 'engine.sock');
  const half = 600_000;

  const out = await CuttingProxy.start(socket, 'from', half);
  await t.rejects(
    out.during(() => runBackup(volumes, 'cut')),
    { code: 'engine/stream-cut' },
  );
  t.equal(out.cuts, 1);
  t.strictSame(await listStored(await volumes.openStore('local'), volumes.settings, 'cut'), []);

  await runBackup(volumes, 'cut');
  await writeFile(join(folder, 'a'), 'newer');
  const into = await CuttingProxy.start(socket, 'to', half);
  await t.rejects(
    into.during(() =>
      withBackup(volumes, { kind: 'volume', job: 'cut', identityFile }, (backup) =>
        restoreVolume(volumes, backup, { ...alone, consent: async () => undefined }),
      ),
    ),
    { code: 'restore/failed' },
  );
  t.equal(into.cuts, 1);
  t.strictSame(await readdir(folder), ['a', 'b', 'c', 'd']);
  t.equal(await readFile(join(folder, 'a'), 'utf8'), 'newer');
});

t.test(
  'a volume restore killed before any of its steps carries on; a no takes it back',
  async (t) => {
    const volume = `${stack.project}-notes`;
    await stack.docker([
      'volume',
      'create',
      '--label',
      `io.holdfast.project=${stack.project}`,
      volume,
    ]);
    const user = await stack.docker([
      'run',
      '--detach',
      '--init',
      ...stack.labels(),
      ...['--network', 'none'],
      ...['--volume', `${volume}:/data`],
      ...['--entrypoint', 'sleep'],
      postgres,
      'infinity',
    ]);
    const inside = (script: string) => stack.docker(['exec', user, 'sh', '-c', script]);
    await inside('mkdir -p /data/sub && echo saved >/data/sub/note && echo kept >/data/other');
    const volumes = stack.context({
      jobs: [
        stack.job({
          name: 'notes',
          source: { kind: 'volume', name: 'notes', volume, service: 'web' },
        }),
      ],
    });
    const { id } = await runBackup(volumes, 'notes');
    const restoreNotes = (over: Partial<BackupContext>, agreed = true) =>
      withBackup(volumes, { id, kind: 'volume', identityFile }, (backup) =>
        restoreVolume({ ...volumes, ...over }, backup, {
          ...alone,
          consent: async () => {
            if (!agreed) throw new Error('no');
          },
        }),
      );
    await t.rejects(restoreNotes({}, false), /no/);
    t.equal(await inside('ls -A /data'), 'other\nsub');

    for (let steps = 0; ; steps += 1) {
      await inside('echo newer >/data/sub/note; rm -f /data/other');
      let left = steps;
      const dying = new Proxy(stack.host, {
        get(target, name) {
          const value: unknown = Reflect.get(target, name);
          if (typeof value !== 'function') return value;
          return (...args: unknown[]) => {
            if (name === 'run' || name === 'write' || name === 'remove') {
              if (left === 0) throw new Error('killed');
              left -= 1;
            }
            return Reflect.apply(value, target, args) as unknown;
          };
        },
      });
      const finished = await restoreNotes({ host: dying }).then(
        () => true,
        () => false,
      );
      if (!finished) await restoreNotes({});
      const found = await inside(
        'cat /data/sub/note /data/other; ls -A /data | grep -c restor || true',
      );
      if (found !== 'saved\nkept\n0') t.fail(`killed before step ${steps + 1}: ${found}`);
      if (finished) {
        t.ok(steps > 8, `${steps} places to be killed at`);
        break;
      }
    }
    const kept = await inside('cat /data/.holdfast-before-*/sub/note | sort -u');
    t.match(kept, /^newer/, 'what was there is kept each time');
  },
);

t.test('a volume restore killed in its swap is finished by the next apply', async (t) => {
  const volume = `${stack.project}-killed`;
  await stack.docker(['volume', 'create', ...stack.labels(), volume]);
  // Does not stop before it is told to, so that the swap is certainly at work when it is killed.
  const script =
    "trap 'while [ ! -e /tmp/go ]; do sleep 0.05; done; exit 0' TERM; while :; do sleep 0.05; done";
  const user = await stack.docker([
    'run',
    '--detach',
    ...stack.labels(),
    ...['--network', 'none', '--volume', `${volume}:/data`, '--entrypoint', 'sh'],
    ...[postgres, '-c', script],
  ]);
  const inside = (command: string) => stack.docker(['exec', user, 'sh', '-c', command]);
  await inside('echo saved >/data/note');
  const source = { kind: 'volume', name: 'killed', volume, service: 'web' } as const;
  const jobs = [stack.job({ name: 'killed', source })];
  await runBackup(stack.context({ jobs }), 'killed');
  await inside('echo newer >/data/note; echo later >/data/more');
  const child = spawn(
    process.execPath,
    [
      new URL('../support/restore-volume-child.ts', import.meta.url).pathname,
      ...[JSON.stringify(stack.identity()), JSON.stringify({ jobs })],
    ],
    { stdio: ['ignore', 'ignore', 'inherit'] },
  );
  const gone = new Promise((resolve) => child.once('exit', (_code, signal) => resolve(signal)));
  const { host, engine, paths, project } = stack;
  while ((await unfinishedSwaps(host, paths)).length === 0) await wait(20);
  child.kill('SIGKILL');
  t.equal(await gone, 'SIGKILL');
  await inside('touch /tmp/go');
  await finishSwaps({ host, engine, paths, project }, (event) => stack.events.push(event));
  t.match(stack.events.at(-1), { kind: 'notice', text: /finishing the restore of .* into/ });
  t.equal(
    await inside('cat /data/note; ls /data; cat /data/.holdfast-before-*/more'),
    'saved\nnote\nlater',
  );
  t.strictSame(await unfinishedSwaps(host, paths), []);
});

t.test('Redis comes back with its keys, with and without an AOF', async (t) => {
  for (const aof of ['yes', 'no']) {
    const volume = `${stack.project}-redis-${aof}`;
    await stack.docker([
      'volume',
      'create',
      '--label',
      `io.holdfast.project=${stack.project}`,
      volume,
    ]);
    const name = `${stack.project}-redis-${aof}`;
    await writeFile(
      join(stack.root, 'users.acl'),
      'user default off\nuser holdfast_admin on >secret ~* &* +@all\n',
    );
    await stack.docker([
      'run',
      '--detach',
      '--name',
      name,
      ...stack.labels(),
      '--network',
      'none',
      '--user',
      '999:999',
      '--volume',
      `${volume}:/data`,
      '--volume',
      `${join(stack.root, 'users.acl')}:/users.acl:ro`,
      redis,
      'redis-server',
      '--dir',
      '/data',
      '--aclfile',
      '/users.acl',
      '--appendonly',
      aof,
      '--save',
      '',
    ]);
    await stack.host.write(join(stack.paths.secrets, 'REDIS_ADMIN_PASSWORD'), 'secret', {
      mode: 0o600,
      uid: 0,
      gid: 0,
    });
    const cli = async (...commands: string[]): Promise<string> => {
      for (;;) {
        const { stdout } = await stack.engine.exec(name, {
          argv: ['redis-cli', '--raw', '--no-auth-warning'],
          stdin: `AUTH holdfast_admin secret\n${commands.join('\n')}\n`,
        });
        if (stdout.startsWith('OK') && !stdout.includes('LOADING'))
          return stdout.replace(/^OK\n/, '').trim();
      }
    };
    await cli('SET cart 42', 'RPUSH queue a b c', 'SET temporary x EX 9999');
    const caches = stack.context({
      redis: { container: name },
      jobs: [stack.job({ name: `cache-${aof}`, source: { kind: 'redis' } })],
    });
    await runBackup(caches, `cache-${aof}`);
    await cli('FLUSHALL', 'SET cart 0');
    await withBackup(caches, { kind: 'redis', identityFile }, (backup) =>
      restoreRedis(caches, backup, { ...alone, consent: async () => undefined }),
    );
    t.equal(await cli('GET cart', 'LRANGE queue 0 -1'), '42\na\nb\nc', `appendonly ${aof}`);
    t.ok(Number(await cli('TTL temporary')) > 9000);
  }
});
