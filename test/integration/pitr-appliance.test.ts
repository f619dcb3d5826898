import { execFileSync, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import t from 'tap';
import { listReceived } from '../../installer/backup/wal/receiver-folder.ts';
import type { WalStatus } from '../../installer/model/wal-status.ts';
import { Appliance } from '../support/appliance.ts';
import { isShipped } from '../support/is-shipped.ts';
import { lookUntil } from '../support/look-until.ts';
import { QUIET_ZONE } from '../support/quiet-zone.ts';
import { commandsOf } from '../support/runbook.ts';

/** Point-in-time recovery as a person has it: one key in the config, the agent does the rest, one command back. */

const PROJECT = 'pitr-test';
const CONTAINER = `${PROJECT}-postgres-1`;
const folder = t.testdir({ site: { 'index.html': '<p>front</p>' } });
const config = join(folder, 'config.yaml');
const store = join(folder, 'store');
const identity = join(folder, 'identity.txt');
execFileSync('age-keygen', ['-o', identity], { stdio: 'ignore' });
const recipient = execFileSync('age-keygen', ['-y', identity]).toString().trim();
writeFileSync(
  config,
  `version: 1
project: ${PROJECT}
timezone: ${QUIET_ZONE}
domain: pitr.example.com
contact: ops@example.com
tls: { issuer: selfsigned }
sites: { front: { artifact: ./site, hosts: [pitr.example.com] } }
monitoring: { prometheus: { enabled: false }, grafana: { enabled: false } }
postgres: { version: "17", databases: [shop], owner: shop, pitr: { rpo: 6s, window: 7d } }
storage: { providers: { disk: { kind: directory, path: ${store} } } }
backups:
  provider: disk
  recipients: [${recipient}]
  jobs:
    - { name: daily, source: postgres, cron: "0 2 * * *" }
    - { name: kit, source: appliance, cron: "20 2 * * *" }
`,
);
let appliance = await Appliance.create(config);
t.teardown(() => appliance.remove());
mkdirSync(appliance.paths.secrets, { recursive: true });

function sql(statement: string): string {
  return execFileSync('docker', [
    ...['exec', '--user', 'postgres', CONTAINER, 'psql', '-XqAt', '-d', 'shop', '-c', statement],
  ])
    .toString()
    .trim();
}

/** The volume that Postgres runs on; none while it is being replaced. */
function volume(): string {
  const format = '{{range .Mounts}}{{.Name}} {{end}}';
  const argv = ['inspect', '--format', format, CONTAINER];
  const { status, stdout } = spawnSync('docker', argv, { encoding: 'utf8' });
  return status === 0 ? (/\S*_postgres-data\S*/.exec(stdout)?.[0] ?? '') : '';
}

function answers(): boolean {
  const inside = ['exec', '--user', 'postgres', CONTAINER, 'psql', '-XqAt', '-d', 'shop'];
  return volume() !== '' && spawnSync('docker', [...inside, '-c', 'SELECT 1']).status === 0;
}

async function ok(...argv: string[]): Promise<string> {
  const { exitCode, stdout, stderr } = await appliance.run(argv);
  if (exitCode !== 0) throw new Error(`${argv.join(' ')} exited ${exitCode}\n${stdout}\n${stderr}`);
  return stdout;
}

function result<T>(name: string): T | undefined {
  try {
    return JSON.parse(readFileSync(join(appliance.paths.agent, 'results', name), 'utf8')) as T;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    throw error;
  }
}

async function until(what: string, holds: () => boolean): Promise<void> {
  await lookUntil(
    600_000,
    async () => holds() || undefined,
    () => `${what}: ${JSON.stringify(result('wal.json'))}`,
  );
}

interface BaseResult {
  readonly lastSuccess?: { readonly id: string; readonly verifiedAt?: string };
}
const base = () => result<BaseResult>('base.json')?.lastSuccess;
/** Everything that is committed now was received and lies in the store. */
async function shipped(): Promise<void> {
  const lsn = sql('SELECT pg_current_wal_flush_lsn()');
  await until('received', () => {
    return sql(`SELECT bool_or(write_lsn >= '${lsn}') FROM pg_stat_replication`) === 't';
  });
  const received = await listReceived(appliance.paths.wal);
  await until('shipped', () => isShipped(received, result<WalStatus>('wal.json')));
}

t.test('one key in the config: WAL and a base backup are in the store by themselves', async (t) => {
  await ok('apply', '--config', config, '--yes');
  t.equal(
    sql(
      "SELECT rolreplication::text || rolsuper::text FROM pg_roles WHERE rolname = 'holdfast_wal'",
    ),
    'truefalse',
  );
  await until('a verified base', () => base()?.verifiedAt !== undefined);
  // It tries every two seconds, and the base backup may have been quicker.
  await until('the receiver came in with its own password', () => {
    return sql("SELECT active FROM pg_replication_slots WHERE slot_name = 'holdfast_wal'") === 't';
  });
  t.match(await ok('plan', '--config', config), /Nothing to do|No changes/);
  const memory = ['stats', '--no-stream', '--format', '{{.Name}} {{.MemUsage}}'];
  t.comment(execFileSync('docker', [...memory, CONTAINER, `${PROJECT}-postgres-wal-1`]).toString());
});

t.test('the restore test proves a dump and the newest point in time', async (t) => {
  await ok('backup', 'run', 'daily');
  const proved = JSON.parse(await ok('backup', 'restore-test', '--json'));
  t.match(proved, {
    backupId: /Z-/,
    databases: 1,
    pointInTime: { base: base()?.id, databases: 2 },
  });
  const { lostSeconds, lostMore, limits } = proved.pointInTime;
  t.ok(lostSeconds >= 0 && lostMore === undefined, `${lostSeconds} s would have been lost`);
  t.match(limits, /^1 processor, /);
  const { stdout } = await appliance.run(['status', '--json']);
  t.match(JSON.parse(stdout).pointInTime, { base: base()?.id, lostSeconds, seconds: Number });
  t.match(
    (await appliance.run(['status'])).stdout,
    /point in time: .* came back in .* would have been lost/,
  );
});

t.test('back to a position between two writes, through one command', async (t) => {
  sql("CREATE TABLE notes (note text); INSERT INTO notes VALUES ('first')");
  const between = sql(
    "SELECT to_char(clock_timestamp() AT TIME ZONE 'UTC', 'YYYY-MM-DD HH24:MI:SS.MS')",
  );
  const lsn = sql('SELECT pg_current_wal_flush_lsn()');
  sql("INSERT INTO notes VALUES ('second')");
  // What was changed since the moment must work all the same: here the password of the owner.
  sql("ALTER ROLE shop PASSWORD 'changed by somebody'");
  await shipped();
  const [look = []] = commandsOf('restore', 'Everything has to go back', {
    '2026-11-20 14:03:00 Europe/Paris': `${between} UTC`,
  });
  const plan = await ok(...look);
  t.match(plan, /cluster\.tar\.zst\.age/);
  t.equal(sql('SELECT count(*) FROM notes'), '2', 'a dry run changes nothing');

  const before = base()?.id;
  // To a moment by the command: postgres-upgrade.test.ts.
  const said = await ok('restore', '--to-lsn', lsn, '--yes');
  t.match(said, /shop: 1 tables, 1 rows/);
  const [, begun] = /new timeline begins with the base backup (\S+)\./.exec(said) ?? [];
  if (begun === undefined) t.match(said, /The agent makes the new base backup/);
  else t.equal(begun, base()?.id, 'the new base backup, by the same command');
  t.match(said, `docker volume rm ${PROJECT}_postgres-data\n`);
  t.equal(sql('SELECT note FROM notes'), 'first');
  await until('a new base backup', () => base()?.id !== before);
  t.match(await ok('plan', '--config', config), /Nothing to do|No changes/, 'apply agrees with it');
  const volumes = execFileSync('docker', ['volume', 'ls', '-q']).toString();
  t.match(volumes, new RegExp(`^${PROJECT}_postgres-data$`, 'm'), 'the old cluster is kept');
  await until('the new timeline', () => result<WalStatus>('wal.json')?.timeline === 2);
  sql("INSERT INTO notes VALUES ('third')");
  await shipped();
  t.match(await ok('backup', 'list'), /Gap in the WAL.*timeline 2/);
});

t.test('to a name, killed between the swap and the new base backup: it converges', async (t) => {
  sql("SELECT pg_create_restore_point('before-fourth')");
  sql("INSERT INTO notes VALUES ('fourth')");
  await shipped();
  const old = volume();
  const newest = base()?.id ?? '';
  const child = appliance.start(['restore', '--to-name', 'before-fourth', '--yes']);
  const ended = once(child, 'exit');
  let said = '';
  for (const stream of [child.stdout, child.stderr]) {
    stream.on('data', (chunk: Buffer) => {
      said += chunk.toString('utf8');
    });
  }
  await until('Postgres runs on the restored cluster', () => {
    if (child.exitCode !== null && volume() === old) {
      throw new Error(`it ended with ${child.exitCode}\n${said}`);
    }
    return volume() !== old && answers();
  });
  child.kill('SIGKILL');
  await ended;
  await ok('apply', '--config', config, '--yes');
  t.equal(sql("SELECT string_agg(note, ' ') FROM notes"), 'first third');
  await until('a base backup of the new timeline', () => {
    const { id = '', verifiedAt } = base() ?? {};
    return id > newest && verifiedAt !== undefined && result<WalStatus>('wal.json')?.timeline === 3;
  });
  t.match(await ok('backup', 'list'), new RegExp(`${base()?.id}.* verified`));
  await shipped();
  const [, , latest = []] = commandsOf('restore', 'Everything has to go back', {});
  const plan = JSON.parse(await ok(...latest, '--dry-run', '--json'));
  t.equal(plan.base, base()?.id);
  t.match(await appliance.run(['restore', '--to-lsn', 'FF/0', '--dry-run']), {
    exitCode: 14,
    stderr: /cannot be reached[\s\S]*what can be reached is /,
  });
  t.notMatch(
    plan.objects.join('\n'),
    /_wal\/\d+\/0000000[12][0-9A-F]{16}/,
    'the old timelines are not needed',
  );
  t.match(await ok('plan', '--config', config), /Nothing to do|No changes/);
});

t.test('the server is lost: its store, a key and --latest bring back the last row', async (t) => {
  await ok('backup', 'run', 'kit');
  sql("INSERT INTO notes VALUES ('last')");
  await shipped();
  const newest = base()?.id ?? '';
  await appliance.remove();
  appliance = await Appliance.create(config);
  const argv = ['restore', '--from', store, '--latest', '--identity', identity, '--yes', '--json'];
  const answer = JSON.parse(await ok(...argv));
  t.match(answer, { failed: [], data: [{ what: 'postgres', backup: newest }] });
  t.comment(`back after ${answer.seconds} s`);
  t.equal(sql("SELECT string_agg(note, ' ') FROM notes"), 'first third last');
  await until('a base backup of the new timeline', () => {
    const { id = '', verifiedAt } = base() ?? {};
    return id > newest && verifiedAt !== undefined && result<WalStatus>('wal.json')?.timeline === 4;
  });
  t.match(await ok('plan', '--config', config), /Nothing to do|No changes/);
});
