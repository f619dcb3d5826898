import { execFileSync } from 'node:child_process';
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as wait } from 'node:timers/promises';
import t from 'tap';
import { LABELS } from '../../installer/model/labels.ts';
import { Appliance } from '../support/appliance.ts';
import { lookUntil } from '../support/look-until.ts';
import { QUIET_ZONE } from '../support/quiet-zone.ts';

/** Postgres 15 to 17 as a person does it: another word in the config, a rehearsal, an apply that is killed, the way back. */

const PROJECT = 'upgrade-test';
const CONTAINER = `${PROJECT}-postgres-1`;
const folder = t.testdir({ site: { 'index.html': '<p>front</p>' } });
const config = join(folder, 'config.yaml');

function ask(version: string): void {
  writeFileSync(
    config,
    `version: 1
project: ${PROJECT}
timezone: ${QUIET_ZONE}
domain: upgrade.example.com
contact: ops@example.com
tls: { issuer: selfsigned }
sites: { front: { artifact: ./site, hosts: [upgrade.example.com] } }
monitoring: { prometheus: { enabled: false }, grafana: { enabled: false } }
postgres: { version: "${version}", databases: [shop], owner: shop, pitr: { rpo: 1m, window: 7d } }
`,
  );
}

ask('15');
const appliance = await Appliance.create(config);
t.teardown(() => appliance.remove());

function sql(statement: string, database = 'shop'): string {
  const argv = ['exec', '--user', 'postgres', '--interactive', CONTAINER, 'psql', '-XqAt'];
  return execFileSync('docker', [...argv, '-v', 'ON_ERROR_STOP=1', '-d', database], {
    input: statement,
  })
    .toString()
    .trim();
}

const major = (): string => sql("SELECT current_setting('server_version_num')::int / 10000");

async function ok(...argv: string[]): Promise<string> {
  const { exitCode, stdout, stderr } = await appliance.run(argv);
  if (exitCode !== 0) throw new Error(`${argv.join(' ')} exited ${exitCode}\n${stdout}\n${stderr}`);
  return stdout;
}

function names(kind: 'ps' | 'volume', ...more: string[]): string[] {
  const argv = kind === 'ps' ? ['ps', '--all', '--quiet'] : ['volume', 'ls', '--quiet'];
  const filter = ['--filter', `label=${LABELS.project}=${PROJECT}`];
  const text = execFileSync('docker', [
    ...argv,
    ...filter,
    ...more.flatMap((one) => ['--filter', one]),
  ]);
  return text
    .toString()
    .split('\n')
    .filter((line) => line !== '');
}

function rehearsals(): string {
  const filter = ['--filter', `name=${PROJECT}_postgres-rehearsal`];
  return execFileSync('docker', ['volume', 'ls', '--quiet', ...filter]).toString();
}

const journal = join(appliance.paths.state, 'postgres-upgrade.json');
const phase = (): string =>
  existsSync(journal)
    ? (JSON.parse(readFileSync(journal, 'utf8')) as { phase: string }).phase
    : 'none';
const helpers = (): number => names('ps', 'label=io.holdfast.backup-task=postgres-upgrade').length;

let moment = '';
interface BaseResult {
  readonly lastSuccess?: { readonly verifiedAt?: string };
}
function base(): BaseResult['lastSuccess'] {
  const file = join(appliance.paths.agent, 'results/base.json');
  return existsSync(file)
    ? (JSON.parse(readFileSync(file, 'utf8')) as BaseResult).lastSuccess
    : undefined;
}

async function until(what: string, holds: () => boolean): Promise<void> {
  await lookUntil(
    600_000,
    async () => holds() || undefined,
    () => what,
  );
}

/** Starts an apply and kills it, with all that it started on this side, as soon as `holds`. */
async function applyKilledWhen(what: string, holds: () => boolean): Promise<void> {
  const child = appliance.start(['apply', '--config', config, '--yes']);
  let said = '';
  child.stdout.on('data', (chunk: Buffer) => {
    said += chunk.toString();
  });
  child.stderr.on('data', (chunk: Buffer) => {
    said += chunk.toString();
  });
  const closed = new Promise<void>((resolve) => child.once('close', () => resolve()));
  while (!holds()) {
    if (child.exitCode !== null) throw new Error(`${what}: it ended before\n${said}`);
    await wait(20);
  }
  child.kill('SIGKILL');
  await closed;
}

/** What an upgrade must not change. */
const PORTRAIT = `
SELECT rolname, rolpassword, rolconnlimit FROM pg_authid WHERE rolname !~ '^pg_' ORDER BY 1;
SELECT datname, pg_get_userbyid(datdba), pg_encoding_to_char(encoding), datcollate, datconnlimit
  FROM pg_database WHERE datname !~ '^template' ORDER BY 1;
SELECT has_database_privilege('reader', 'latin', 'CONNECT'), has_database_privilege('reader', 'postgres', 'CONNECT');
SELECT setconfig FROM pg_db_role_setting ORDER BY 1;
SELECT count(*), md5(string_agg(note, ',' ORDER BY id)) FROM orders;
SELECT last_value FROM orders_id_seq;
SELECT extname FROM pg_extension ORDER BY 1;
SHOW work_mem; SHOW data_checksums; SELECT pg_size_pretty(sum(length(data))) FROM pg_largeobject;`;

t.test('a server with Postgres 15 and something of everything in it', async (t) => {
  await ok('apply', '--config', config, '--yes');
  t.equal(major(), '15');
  sql(
    `CREATE DATABASE latin ENCODING 'LATIN1' LOCALE 'C' TEMPLATE template0 CONNECTION LIMIT 7;
     CREATE ROLE reader LOGIN PASSWORD 'a password of its own';
     REVOKE CONNECT ON DATABASE latin, postgres FROM PUBLIC; GRANT CONNECT ON DATABASE latin TO reader;
     ALTER DATABASE latin SET search_path = 'a', 'b'; ALTER ROLE reader IN DATABASE postgres SET work_mem = '3MB';
     ALTER SYSTEM SET work_mem = '5MB';`,
    'postgres',
  );
  sql('SELECT pg_reload_conf()');
  sql(
    `CREATE TABLE orders (id bigserial PRIMARY KEY, note text NOT NULL); ALTER TABLE orders OWNER TO shop;
     INSERT INTO orders (note) SELECT md5(i::text) FROM generate_series(1, 20000) i;
     CREATE UNLOGGED TABLE fast AS SELECT 1 AS one; CREATE EXTENSION pg_trgm;
     SELECT lo_from_bytea(0, 'a large object');`,
  );
});

t.test(
  'the plan shows it as one step; a rehearsal stops nothing and names what is in the way',
  async (t) => {
    const before = sql(PORTRAIT);
    ask('17');
    const shown = await appliance.run(['plan', '--config', config]);
    t.equal(shown.exitCode, 10, shown.stderr);
    t.match(
      shown.stdout,
      /postgres 15 to 17: .*volume postgres-data-17; the old one stays \[recreate\]/,
    );
    t.match(shown.stdout, /of disk needed, .* free\n {4}not rehearsed yet/);
    sql('CREATE DATABASE shut ALLOW_CONNECTIONS false', 'postgres');
    const started = sql('SELECT pg_postmaster_start_time()');
    const refused = await appliance.run(['postgres', 'rehearse', '--config', config]);
    t.equal(refused.exitCode, 4, refused.stdout + refused.stderr);
    t.match(refused.stderr, /database shut takes no connections/);
    t.match(
      (await appliance.run(['plan', '--config', config])).stdout,
      /cannot be done\n +database shut/,
    );
    sql('DROP DATABASE shut', 'postgres');
    const rehearsed = JSON.parse(await ok('postgres', 'rehearse', '--config', config, '--json'));
    t.match(rehearsed, { from: '15', to: '17', problems: [], seconds: Number });
    t.equal(sql('SELECT pg_postmaster_start_time()'), started, 'the server was not touched');
    t.equal(sql(PORTRAIT), before);
    t.equal(rehearsals(), '');
    const killed = appliance.start(['postgres', 'rehearse', '--config', config]);
    const closed = new Promise<void>((resolve) => killed.once('close', () => resolve()));
    await until('a rehearsal', () => rehearsals().includes(`${PROJECT}_postgres-rehearsal-new`));
    killed.kill('SIGKILL');
    await closed;
  },
);

t.test('killed before it counts: the next command has the old server back', async (t) => {
  const before = sql(PORTRAIT);
  await applyKilledWhen('the copy', () => phase() === 'copying' && helpers() === 2);
  t.strictSame(names('ps', 'label=com.docker.compose.service=postgres'), [], 'nobody can write');
  // Another command than the apply that was killed, with the config of before.
  ask('15');
  await ok('apply', '--config', config, '--yes');
  t.equal(major(), '15');
  t.equal(sql(PORTRAIT), before);
  t.equal(helpers(), 0);
  t.notOk(names('volume').includes(`${PROJECT}_postgres-data-17`), 'what was copied is gone');
  t.equal(phase(), 'none');
  t.equal(rehearsals(), '', 'what the killed rehearsal left is gone as well');
  await until('a base backup of Postgres 15', () => base()?.verifiedAt !== undefined);
  sql("INSERT INTO orders (note) VALUES ('written before the moment')");
  moment = sql("SELECT to_char(clock_timestamp() AT TIME ZONE 'UTC', 'YYYY-MM-DD HH24:MI:SS.MS')");
  sql("INSERT INTO orders (note) VALUES ('written after the moment')");
});

t.test('killed after it counts: the next apply goes on with the new server', async (t) => {
  ask('17');
  const before = sql(PORTRAIT);
  await applyKilledWhen('the switch', () => phase() === 'switched');
  await ok('apply', '--config', config, '--yes');
  t.equal(major(), '17');
  t.equal(sql(PORTRAIT), before, 'passwords, rights, encodings, settings, rows');
  t.equal(phase(), 'done');
  t.ok(names('volume').includes(`${PROJECT}_postgres-data`), 'the old cluster is kept');
  sql(
    "INSERT INTO orders (note) VALUES ('written to 17'), ('and another'); SELECT lo_from_bytea(0, 'one more')",
  );
  ask('15');
  const asked = await appliance.run(['postgres', 'revert', '--config', config]);
  t.equal(asked.exitCode, 5, 'nobody is there to say yes');
  t.match(asked.stdout, /without what was written since .*: 3 rows inserted, updated or deleted/);
  ask('17');
});

t.test('a moment of before the upgrade is restored, and runs on the new version', async (t) => {
  const said = await ok('restore', '--to', `${moment} UTC`, '--config', config, '--yes');
  t.match(said, /shop: 2 tables, 20001 rows/);
  t.equal(major(), '17');
  t.equal(
    sql("SELECT string_agg(note, ' ') FROM orders WHERE note ~ 'written'"),
    'written before the moment',
  );
  t.match(await ok('plan', '--config', config), /Nothing to do/);
});

t.test('the way back says what is lost, and wants the config to say the same', async (t) => {
  const refused = await appliance.run(['postgres', 'revert', '--config', config, '--yes']);
  t.match(refused.stderr, /postgres.version: "15"/);
  ask('15');
  const apply = await appliance.run(['apply', '--config', config, '--yes']);
  t.match(apply.stderr, /holdfast postgres revert/);
  const said = await ok('postgres', 'revert', '--config', config, '--yes');
  t.match(said, /without what was written since 2.* ago: nobody counted the rows/);
  t.match(said, /docker volume rm upgrade-test_postgres-data-\S+-carried\n/);
  t.equal(major(), '15');
  t.equal(sql("SELECT count(*) FROM orders WHERE note ~ 'written'"), '2');
  t.match(await ok('plan', '--config', config), /Nothing to do/);
});
