import { readFile, writeFile } from 'node:fs/promises';
import t from 'tap';
import { chooseData } from '../../installer/backup/recovery/choose-data.ts';
import { restoreTestIdentityFile } from '../../installer/backup/recovery-keys.ts';
import type { ClusterVolume } from '../../installer/backup/restore/cluster-volume.ts';
import type { RecoveryTarget } from '../../installer/backup/restore/point-in-time.ts';
import {
  planClusterRestore,
  restoreCluster,
} from '../../installer/backup/restore/restore-cluster.ts';
import { runRestoreTest } from '../../installer/backup/restore/restore-test.ts';
import { readRestoreTestResult } from '../../installer/backup/results.ts';
import { runBackup } from '../../installer/backup/run-backup.ts';
import { parseLsn } from '../../installer/backup/wal/segment.ts';
import { writerIdentity } from '../../installer/backup/writer-id.ts';
import { restoreData } from '../../installer/cli/restore-server-data.ts';
import type { BackupSettings } from '../../installer/model/backup-settings.ts';
import type { ProgressEvent } from '../../installer/model/events.ts';
import { PitrStack } from '../support/pitr-stack.ts';
import { outcome } from './support/docker.ts';
import { platformImages } from './support/platform-images.ts';

const PASS_SECONDS = 2;
/** As the config has it: a pass takes a sixth of what may be lost. */
const RPO_SECONDS = 6 * PASS_SECONDS;

const { postgres = '' } = await platformImages('postgres');
const pitr = await PitrStack.start(postgres, PASS_SECONDS);
t.teardown(() => pitr.stop());
const { stack } = pitr;
const context = stack.context(pitr.over());
const identityFile = restoreTestIdentityFile(stack.paths);
await stack.sql('postgres', 'CREATE DATABASE shop;');
await stack.sql(
  'shop',
  'CREATE EXTENSION pg_trgm; CREATE TABLE orders (id bigserial PRIMARY KEY, note text NOT NULL, at timestamptz DEFAULT clock_timestamp());',
);
// Whoever makes a database in one of another encoding names it in that: no UTF-8.
await stack.sql('postgres', "CREATE DATABASE latin ENCODING LATIN1 LOCALE 'C' TEMPLATE template0;");
await stack.sql(
  'latin',
  'SET client_encoding = UTF8; CREATE DATABASE "café" ENCODING LATIN1 LOCALE \'C\' TEMPLATE template0;',
);
pitr.startShipper();

const asked: string[] = [];
const wish = (target: RecoveryTarget) => ({
  target,
  identityFile,
  consent: async (question: string) => {
    asked.push(question);
  },
  swap: pitr.swap,
});
const add = (note: string) => stack.sql('shop', `INSERT INTO orders (note) VALUES ('${note}')`);
const notes = () => stack.sql('shop', "SELECT string_agg(note, ' ' ORDER BY id) FROM orders");
/** Breaks one bit in its middle; gives what mends it. */
const flip = async (path: string): Promise<() => Promise<void>> => {
  const content = await readFile(path);
  const broken = Buffer.from(content);
  const at = Math.floor(broken.length / 2);
  broken[at] = (broken[at] ?? 0) ^ 1;
  await writeFile(path, broken);
  return () => writeFile(path, content);
};
const clock = async () =>
  new Date(
    Number(await stack.sql('postgres', 'SELECT extract(epoch FROM clock_timestamp())')) * 1000,
  );

t.test('a restore to a point between two writes brings exactly the first', async (t) => {
  const begun = await pitr.until('the slot is there', (status) => status.checkedAt !== '');
  t.type(begun.baseNeededSince, 'string', 'a base backup is asked for');
  const { id } = await runBackup(context, 'base');
  await add('first');
  const between = await clock();
  await stack.sql('postgres', "SELECT pg_create_restore_point('before-second')");
  await add('second');
  await stack.sql('postgres', 'SELECT pg_switch_wal()');
  await add('third');
  await pitr.shipped();

  const early = new Date(between.getTime() - 3_600_000);
  await t.rejects(restoreCluster(context, wish({ kind: 'time', time: early })), {
    code: 'restore/outside-window',
  });
  const late = new Date(Date.now() + 3_600_000);
  await t.rejects(restoreCluster(context, wish({ kind: 'time', time: late })), {
    code: 'restore/outside-window',
  });
  const plan = await planClusterRestore(context, wish({ kind: 'time', time: between }));
  t.equal(plan.base, id);
  t.match(plan.objects.join('\n'), /cluster\.tar\.zst\.age[\s\S]*_wal\/\d+\/0000000100000000/);
  t.match(await notes(), 'first second third', 'a plan changes nothing');

  const done = await restoreCluster(context, wish({ kind: 'name', name: 'before-second' }));
  t.equal(await notes(), 'first');
  t.match(done, {
    base: id,
    cluster: {
      databases: [{ name: 'latin' }, {}, { name: 'shop', rows: 1 }],
      unread: ['caf?'],
    },
  });
  t.match(
    asked.at(-1),
    /ago; its last commit was at .*; [1-9]\d* transactions of the live cluster/,
  );
  t.comment(`restored and checked in ${done.seconds.toFixed(1)} s`);
  t.equal(
    await stack.sql('shop', "SELECT extname FROM pg_extension WHERE extname <> 'plpgsql'"),
    'pg_trgm',
  );
});

t.test('after it a new timeline is shipped by itself, and a base is asked for', async (t) => {
  const status = await pitr.until('the new chain', ({ timeline }) => timeline === 2);
  t.match(status.gaps.at(-1)?.why, /timeline 2/);
  await add('on the new timeline');
  await pitr.shipped();
  t.ok((await pitr.stored('/_wal/')).some((path) => path.includes('/00000002')));
  await stack.sql('postgres', 'ALTER SYSTEM SET log_replication_commands = on');
  await stack.sql('postgres', 'SELECT pg_reload_conf()');
  const limited = { ...pitr.over().pitr, maxRate: 200 * 1024 ** 2 } as NonNullable<
    BackupSettings['pitr']
  >;
  await runBackup({ ...context, settings: { ...context.settings, pitr: limited } }, 'base');
  await pitr.until('the rate of the config arrives at the server', async () => {
    const { stderr } = await outcome(['docker', 'logs', stack.container]);
    return /BASE_BACKUP \(.*MAX_RATE 204800/.test(stderr);
  });
  await add('after the new base');
  await pitr.shipped();
});

t.test('the newest point in time is proved from the store, beside the live cluster', async (t) => {
  const leftover = `${stack.project}_restore-test-cluster`;
  await stack.docker(['volume', 'create', leftover]);
  let held = Promise.resolve('');
  const look = async (): Promise<string> => {
    const task = 'label=io.holdfast.backup-task=restore-test-cluster';
    const container = await stack.docker(['ps', '-q', '--filter', task]);
    const format =
      '{{.HostConfig.NetworkMode}} {{.HostConfig.NanoCpus}} {{.HostConfig.PortBindings}}';
    return await stack.docker(['inspect', '--format', format, container]);
  };
  const proving = (over: Parameters<typeof pitr.over>[0]) => ({
    ...stack.context(pitr.over(over)),
    report: (event: ProgressEvent) => {
      stack.events.push(event);
      if (event.kind === 'progress' && /checking every page/.test(event.text)) held = look();
    },
  });
  const assertions = ["SELECT note = 'first' FROM orders ORDER BY id LIMIT 1"];
  const { dump, pointInTime: proof } = await runRestoreTest(proving({ assertions }));
  t.equal(dump, undefined, 'there is no job of dumps');
  const bases = await pitr.stored('/manifest.json');
  t.match(bases.at(-1), proof?.base ?? 'no base');
  t.match(proof, { damagedBases: [], databases: 3, lostSeconds: Number, lostMore: undefined });
  t.ok((proof?.lostSeconds ?? 99) <= RPO_SECONDS, `${proof?.lostSeconds} s would have been lost`);
  t.equal(await held, 'none 1000000000 map[]', 'nobody reaches it, and it is held to a processor');
  t.comment(
    `proved in ${proof?.seconds.toFixed(1)} s, ${proof?.lostSeconds?.toFixed(1)} s lost; ${proof?.limits}`,
  );

  const quick = { ...pitr.over().pitr, rpoSeconds: 0 } as NonNullable<BackupSettings['pitr']>;
  const mended = await flip((await pitr.stored('cluster.tar.zst.age')).at(-1) ?? '');
  const older = await runRestoreTest(proving({ pitr: quick, assertions }));
  await mended();
  t.match(older.pointInTime?.damagedBases, [proof?.base], 'the base before it, and it says so');
  t.match(bases[0], older.pointInTime?.base);
  t.match(await readRestoreTestResult(stack.host, stack.paths), {
    lastRun: { ok: true },
    pointInTime: older.pointInTime,
  });
  t.notMatch(await stack.docker(['volume', 'ls', '-q']), leftover, 'nothing is left');
  t.equal(
    await stack.sql('shop', "SELECT count(*) FROM pg_namespace WHERE nspname = 'holdfast'"),
    '0',
  );
});

t.test('a receiver that was away loses nothing', async (t) => {
  const before = await pitr.until('shipped', () => true);
  await pitr.stopReceiver();
  await add('while it was away');
  await stack.sql('postgres', 'SELECT pg_switch_wal()');
  await add('and in the next segment');
  await pitr.startReceiver();
  await pitr.shipped();
  const after = await pitr.until('shipped', () => true);
  t.same(after.gaps, before.gaps, 'no gap');
});

t.test('a restore stops at a position in the WAL', async (t) => {
  await add('before the position');
  const lsn = parseLsn(await stack.sql('postgres', 'SELECT pg_current_wal_flush_lsn()'));
  await add('beyond it');
  await stack.sql('postgres', 'SELECT pg_switch_wal()');
  await pitr.shipped();
  const newest = 'SELECT note FROM orders ORDER BY id DESC LIMIT 1';
  let found = '';
  const look = async (volume: ClusterVolume): Promise<{ kept: string }> => {
    found = await pitr.lookInto(volume, newest);
    return { kept: '' };
  };
  await restoreCluster(context, { ...wish({ kind: 'lsn', lsn }), swap: look });
  t.equal(found, 'before the position');
  t.equal(await stack.sql('shop', newest), 'beyond it', 'the live cluster is as it was');
  await t.rejects(restoreCluster(context, wish({ kind: 'lsn', lsn: lsn + 2 ** 40 })), {
    code: 'restore/outside-window',
  });
});

t.test('a damaged object is found and never restored', async (t) => {
  // It would put another one in the place of the one that is damaged here.
  await pitr.killShipper();
  const segments = (await pitr.stored('/_wal/')).filter((path) =>
    /00000002[0-9A-F]{16}-/.test(path),
  );
  const whole = await flip(segments.at(-1) ?? '');
  await t.rejects(restoreCluster(context, wish({ kind: 'latest' })), {
    code: 'backup/damaged',
    message: /its checksum is not the one in its name/,
  });
  await whole();
  const beginnings = await pitr.stored('.partial.zst.age');
  // The kill may have left the half of one, under a name of its own.
  const partial = beginnings.filter((path) => path.endsWith('.age')).at(-1) ?? '';
  const mended = await flip(partial);
  await t.rejects(restoreCluster(context, wish({ kind: 'latest' })), { code: 'backup/damaged' });
  await mended();
  const bases = await pitr.stored('cluster.tar.zst.age');
  const undo = await Promise.all(bases.map(flip));
  await t.rejects(restoreCluster(context, wish({ kind: 'latest' })), {
    code: 'restore/base-damaged',
  });
  for (const one of undo) await one();
  t.match(await notes(), /beyond it$/, 'the live cluster is as it was');
  const left = await stack.docker([
    'volume',
    'ls',
    '-q',
    '--filter',
    `label=io.holdfast.project=${stack.project}`,
  ]);
  t.equal(left.split('\n').length, 1, 'no volume of a refused restore is left');
  pitr.startShipper();
});

t.test('a slot that was dropped is told, and a new base is asked for', async (t) => {
  const before = await pitr.until('shipped', () => true);
  await pitr.stopReceiver();
  // Postgres notices only later that the receiver is gone.
  await pitr.until('nobody uses the slot', async () => {
    const active = "SELECT active FROM pg_replication_slots WHERE slot_name = 'holdfast_wal'";
    return (await stack.sql('postgres', active)) === 'f';
  });
  await stack.sql('postgres', "SELECT pg_drop_replication_slot('holdfast_wal')");
  await pitr.startReceiver();
  const after = await pitr.until('a gap', ({ gaps }) => gaps.length > before.gaps.length);
  t.match(after.gaps.at(-1), { why: 'the replication slot was gone' });
  t.ok((after.baseNeededSince ?? '') > (before.baseNeededSince ?? ''));
  await runBackup(context, 'base');
  await add('after the gap');
  await pitr.shipped();
});

t.test('after kill -9 and the loss of everything, at most the RPO is missing', async (t) => {
  const [base] = context.settings.jobs;
  const both = stack.context(pitr.over({ jobs: [...(base ? [base] : []), stack.job()] }));
  const dump = await runBackup(both, 'daily');
  const stop = new AbortController();
  let last = 0;
  const times = new Map<number, number>();
  const load = (async () => {
    while (!stop.signal.aborted) {
      try {
        const id = await stack.sql(
          'shop',
          "INSERT INTO orders (note) VALUES ('load') RETURNING id",
        );
        last = Number(id);
        times.set(last, Date.now());
      } catch {
        // It is dead: nothing more is acknowledged.
        return;
      }
    }
  })();
  const first = last;
  while (times.size < 60) await new Promise((resolve) => setTimeout(resolve, 100));
  await pitr.loseEverything();
  stop.abort();
  await load;
  t.ok(last > first);
  // As `restore --from PLACE --latest` has it, once the stack is up around an empty cluster.
  const ofServer = { writer: await writerIdentity(stack.host, stack.paths), identityFile };
  const contextFor = () => both;
  const choose = (latest: boolean) =>
    chooseData(both.settings, { ...ofServer, latest }, contextFor);
  t.match(await choose(false), [{ rollsForward: false, backups: [{ id: dump.id }] }]);
  const clock = performance.now();
  const [chosen] = await choose(true);
  t.match(chosen, { what: 'postgres', rollsForward: true, backups: [{ id: dump.id }] });
  let begun = 0;
  if (chosen === undefined) throw new Error('nothing chosen');
  const restored = await restoreData(chosen, {
    ...{ ...ofServer, settings: both.settings, contextFor, swap: pitr.swap },
    startAnew: async () => {
      begun += 1;
    },
  });
  const took = (performance.now() - clock) / 1000;
  t.equal(begun, 1, 'the WAL of the new timeline begins');
  t.match(restored, { what: 'postgres', backup: chosen.base });
  t.match(
    restored.lines.join('\n'),
    /^shop: 1 tables, \d+ rows\ncaf\?: there, not read.*\nits last commit was at /m,
  );
  const found = Number(await stack.sql('shop', 'SELECT max(id) FROM orders'));
  const lost = [...times].filter(([id]) => id > found);
  // Nothing was acknowledged after it had died; the rest of the machine went later.
  const lostAt = Math.max(...times.values());
  const oldest = Math.min(lostAt, ...lost.map(([, at]) => at));
  const seconds = (lostAt - oldest) / 1000;
  t.comment(
    `${times.size} rows acknowledged, ${lost.length} lost: ${seconds.toFixed(1)} s; restored in ${took.toFixed(1)} s`,
  );
  t.ok(seconds <= RPO_SECONDS, `${seconds} s of ${RPO_SECONDS}`);
  t.match(await notes(), /after the gap load/);
});
