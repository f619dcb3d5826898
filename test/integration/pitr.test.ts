import { cp, readFile, rm, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import t from 'tap';
import { listStored } from '../../installer/backup/inventory.ts';
import { chooseData } from '../../installer/backup/recovery/choose-data.ts';
import { restoreTestIdentityFile } from '../../installer/backup/recovery-keys.ts';
import { checkCluster } from '../../installer/backup/restore/check-cluster.ts';
import type { RecoveryTarget } from '../../installer/backup/restore/point-in-time.ts';
import {
  planClusterRestore,
  restoreCluster,
} from '../../installer/backup/restore/restore-cluster.ts';
import { runRestoreTest } from '../../installer/backup/restore/restore-test.ts';
import { readRestoreTestResult } from '../../installer/backup/results.ts';
import { runBackup } from '../../installer/backup/run-backup.ts';
import { livePostgres } from '../../installer/backup/sources/open-source.ts';
import { pruneWal } from '../../installer/backup/wal/prune-wal.ts';
import { writerIdentity } from '../../installer/backup/writer-id.ts';
import { restoreData } from '../../installer/cli/restore-server-data.ts';
import { AppError } from '../../installer/errors.ts';
import type { BackupSettings } from '../../installer/model/backup-settings.ts';
import type { ProgressEvent } from '../../installer/model/events.ts';
import { PitrStack } from '../support/pitr-stack.ts';
import { scriptOf } from '../support/runbook.ts';
import { outcome, until } from './support/docker.ts';
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
await stack.sql(
  'latin',
  `CREATE FUNCTION frozen() RETURNS event_trigger LANGUAGE plpgsql AS $$ BEGIN RAISE EXCEPTION 'frozen'; END $$;
   CREATE EVENT TRIGGER frozen ON ddl_command_start EXECUTE FUNCTION frozen();
   ALTER DATABASE latin SET default_transaction_read_only = on; ALTER DATABASE latin SET statement_timeout = '1ms';`,
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

t.test('without holdfast: a base and its WAL by the commands of the page', async (t) => {
  const script = scriptOf('without-holdfast');
  const place = join(stack.root, 'by-hand');
  // What it is writing would be gone when it is copied.
  await pitr.killShipper();
  const [oldest = ''] = await pitr.stored('/manifest.json');
  await cp(dirname(oldest), place, { recursive: true });
  const [segment = ''] = await pitr.stored('/_wal/');
  await cp(dirname(segment), join(place, 'stored-wal'), { recursive: true });
  await cp(identityFile, join(place, 'recovery-key.txt'));
  // The server is that of the image, and the files are its user's.
  const programs = t.testdir();
  const container = `${stack.project}-by-hand`;
  const run = ['docker run --detach --init', `--name ${container}`, ...stack.labels()].concat(
    ...['--network none --user 999:999', '--volume "$PWD:$PWD" --workdir "$PWD"'],
    ...['--entrypoint postgres', stack.image, '"$@"'],
  );
  await writeFile(
    join(programs, 'postgres'),
    `#!/bin/sh\nchown -R 999:999 .\nexec ${run.join(' ')}\n`,
    { mode: 0o755 },
  );
  const PATH = `${programs}:${process.env['PATH']}`;
  const shell = ['env', '-C', place, `PATH=${PATH}`, 'sh', '-euc', script] as const;
  const done = await outcome(shell, 300);
  t.equal(done.code, 0, done.stderr);
  const asked = [
    'docker',
    'exec',
    '--user',
    'postgres',
    container,
    'psql',
    '-XqAt',
    '-d',
    'shop',
  ] as const;
  const all = "SELECT string_agg(note, ', ' ORDER BY id) FROM orders";
  await until('the server by hand answers', 120, async () => {
    return (await outcome([...asked, '-c', all])).code === 0;
  });
  const { stdout } = await outcome([...asked, '-c', all]);
  t.equal(stdout.trim(), 'first, on the new timeline, after the new base');
  await stack.docker(['rm', '--force', '--volumes', container]);
  await rm(place, { recursive: true });
  pitr.startShipper();
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

t.test('a damaged object is found and never restored', async (t) => {
  const live = await notes();
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

  // Stored in the clear, zstd stumbles over it first, in the container that lays the files down.
  const settings = { ...context.settings, encryption: 'none' } as const;
  await runBackup({ ...context, settings }, 'base');
  const [clear = ''] = (await pitr.stored('cluster.tar.zst')).filter((path) =>
    path.endsWith('.zst'),
  );
  await flip(clear);
  const refused = new AppError({ code: 'consent/refused', what: 'no', hint: 'none' });
  const looksAt = { ...wish({ kind: 'latest' }), consent: () => Promise.reject(refused) };
  await t.rejects(restoreCluster(context, looksAt), { code: 'consent/refused' });
  t.match(
    stack.events.findLast(({ kind }) => kind === 'warning'),
    { code: 'restore/fell-back', text: /is damaged/ },
    'the base before it is asked about',
  );
  await rm(dirname(clear), { recursive: true });
  t.equal(await notes(), live, 'the live cluster is as it was');
  const left = await stack.docker([
    'volume',
    'ls',
    '-q',
    '--filter',
    `label=io.holdfast.project=${stack.project}`,
  ]);
  t.equal(left.split('\n').length, 1, 'no volume of a refused restore is left');
  pitr.startShipper();
  await pitr.shipped();
});

t.test(
  'a disk that is full of WAL: Postgres goes on, and with room again nothing is lost',
  async (t) => {
    const before = await pitr.until('shipped', () => true);
    await pitr.killShipper();
    await pitr.stopReceiver();
    await pitr.emptyFolder();
    // Three segments and half of a fourth.
    const mount = (...argv: [string, ...string[]]) => stack.host.run({ argv });
    await mount('mount', '-t', 'tmpfs', '-o', 'size=56m', 'tmpfs', pitr.folder);
    t.teardown(() => mount('umount', '--lazy', pitr.folder));
    await pitr.startReceiver();
    await until('the disk is full', 120, async () => {
      await add('while the disk fills');
      await stack.sql('postgres', 'SELECT pg_switch_wal()');
      const { stderr } = await outcome(['docker', 'logs', pitr.receiver]);
      return /No space left on device/.test(stderr);
    });
    await add('while it is full');
    pitr.startShipper();
    await pitr.shipped();
    const after = await pitr.until('shipped', () => true);
    t.same(after.gaps, before.gaps, 'no gap');
    await pitr.stopReceiver();
    await pitr.killShipper();
  },
);

t.test('a restart of Postgres loses nothing; a promoted one begins anew', async (t) => {
  await pitr.emptyFolder();
  await pitr.startReceiver();
  pitr.startShipper();
  const before = await pitr.until('shipped', () => true);
  // The shipping may end with the server in its midst: the agent would start it again.
  const restarted = async () => {
    await pitr.killShipper();
    await stack.docker(['restart', stack.container]);
    await stack.ready();
    pitr.startShipper();
  };
  await stack.sql('postgres', 'CREATE DATABASE rotten');
  await stack.sql(
    'rotten',
    'CREATE TABLE pages WITH (autovacuum_enabled = off) AS SELECT generate_series(1, 5000) AS id',
  );
  await stack.sql('rotten', 'CHECKPOINT');
  const path = await stack.sql('rotten', "SELECT pg_relation_filepath('pages')");
  await restarted();
  await add('after the restart');
  await pitr.shipped();
  const after = await pitr.until('shipped', () => true);
  t.same(after.gaps, before.gaps, 'no gap');
  // It has read nothing of these pages since; the pointer to a row of the second page
  // points beside it.
  const inside = ['exec', '--user', 'postgres', stack.container, 'sh', '-c'];
  const rot = `printf '\\201' | dd of="$PGDATA/${path}" bs=1 seek=8220 conv=notrunc`;
  await stack.docker([...inside, rot]);
  const server = await livePostgres(context, 'holdfast-look');
  await t.rejects(checkCluster(server), { code: 'restore/check-failed', why: /pages/ });
  await stack.sql('postgres', 'DROP DATABASE rotten');
  const signal = 'touch "$PGDATA/standby.signal"';
  await stack.docker([...inside, signal]);
  await restarted();
  t.equal(await stack.sql('postgres', 'SELECT pg_promote(true, 300)'), 't');
  const promoted = await pitr.until('the new timeline', ({ timeline }) => timeline === 3);
  t.match(promoted.gaps.at(-1)?.why, /restored or promoted: it runs on timeline 3/);
  await add('after the promotion');
  await pitr.shipped();
});

let inTheGap = new Date();

t.test(
  'a receiver that is away for too long: the slot is given up, Postgres goes on',
  async (t) => {
    const before = await pitr.until('shipped', () => true);
    await pitr.stopReceiver();
    await stack.sql('postgres', "ALTER SYSTEM SET max_slot_wal_keep_size = '16MB'");
    await stack.sql('postgres', 'SELECT pg_reload_conf()');
    const state = "SELECT wal_status FROM pg_replication_slots WHERE slot_name = 'holdfast_wal'";
    await until('the server gives the slot up', 120, async () => {
      await add('while nobody takes it');
      await stack.sql('postgres', 'SELECT pg_switch_wal()');
      await stack.sql('postgres', 'CHECKPOINT');
      return (await stack.sql('postgres', state)) === 'lost';
    });
    inTheGap = await clock();
    await stack.sql('postgres', 'ALTER SYSTEM RESET max_slot_wal_keep_size');
    await stack.sql('postgres', 'SELECT pg_reload_conf()');
    await pitr.startReceiver();
    const after = await pitr.until('a gap', ({ gaps }) => gaps.length > before.gaps.length);
    t.match(after.gaps.at(-1), { why: /was away for so long that the server gave up WAL/ });
    t.ok((after.baseNeededSince ?? '') > (before.baseNeededSince ?? ''));
    await add('after the slot was given up');
    await pitr.shipped();
  },
);

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
  const span = String.raw`\S+Z to \S+Z`;
  await t.rejects(restoreCluster(context, wish({ kind: 'time', time: inTheGap })), {
    code: 'restore/outside-window',
    why: new RegExp(`^what can be reached is ${span}, (?:${span}, )*${span}$`),
  });
});

t.test('WAL that no base backup needs goes, and all that the newest needs stays', async (t) => {
  const newest = () => planClusterRestore(context, wish({ kind: 'latest' }));
  const [job] = context.settings.jobs;
  const store = await context.openStore('local');
  const before = await newest();
  const held = (await pitr.stored('/_wal/')).length;
  for (const path of await pitr.stored('/manifest.json')) {
    if (!path.includes(before.base)) await rm(dirname(path), { recursive: true });
  }
  if (job === undefined) throw new Error('no job');
  // Within the recovery window all of it would stay.
  const { pitr: wished } = context.settings;
  if (wished === undefined) throw new Error('no point-in-time recovery');
  const settings = { ...context.settings, pitr: { ...wished, windowSeconds: 0 } };
  const bases = await listStored(store, context.settings, job.name);
  const removed = await pruneWal({ ...context, settings }, job, store, bases);
  t.ok(removed > 0 && removed < held, `${removed} of ${held}`);
  const after = await newest();
  const whole = ({ objects }: typeof before) => objects.filter((key) => !key.includes('.partial'));
  t.strictSame(whole(after).slice(0, whole(before).length), whole(before));
  t.equal(after.missing, undefined);
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
