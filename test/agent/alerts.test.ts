import { existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import t, { type Test } from 'tap';
import { askPrometheus } from '../../agent/alerts/ask-prometheus.ts';
import { AlertWatch } from '../../agent/alerts/watch.ts';
import { fs } from '../../agent/builtins.ts';
import { replaceFile } from '../../agent/files.ts';
import type { AgentSettings } from '../../installer/model/agent-settings.ts';
import { type AlertsResult, afterTold, alertNews } from '../../installer/model/alert.ts';
import { HandClock, until } from './support.ts';

interface Shown {
  readonly name: string;
  readonly state?: 'pending' | 'firing';
  readonly severity?: string;
}

const SETTINGS: NonNullable<AgentSettings['alerts']> = {
  service: 'prometheus',
  port: 9090,
  sender: { project: 'shop', domain: 'shop.example.com', environment: 'production' },
  receivers: [
    { name: 'ops', channel: 'webhook', secret: 'HOOK_URL', severities: ['page', 'warn'] },
  ],
};

/** A folder here makes every write of the alerts fail. */
function beside(folder: string): string {
  return `${folder}/alerts.json.${process.pid}.new`;
}

/** A watch that asks a real server, whose alerts and whose status the test sets. */
async function world(t: Test) {
  const prometheus = { status: 200, alerts: [] as Shown[] };
  const server = createServer((_request, response) => {
    const alerts = prometheus.alerts.map(({ name, state = 'firing', severity = 'page' }) => ({
      labels: { alertname: name, severity, job: 'daily' },
      annotations: { summary: `${name} happened.`, runbook: 'backup-failed' },
      state,
      activeAt: '2026-11-28T09:59:00.123456789Z',
      value: '1e+00',
    }));
    response.writeHead(prometheus.status, { 'content-type': 'application/json' });
    response.end(JSON.stringify({ status: 'success', data: { alerts } }));
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  t.teardown(() => server.close());
  const { port } = server.address() as AddressInfo;
  const root = t.testdir({ disk: {}, memory: {} });
  const folders = { disk: `${root}/disk`, memory: `${root}/memory` };
  const folder = folders.disk;
  const clock = new HandClock('2026-11-28T10:00:00Z');
  const started: string[] = [];
  const logged: string[] = [];
  const result = (): AlertsResult => {
    const inMemory = `${folders.memory}/alerts.json`;
    const path = existsSync(inMemory) ? inMemory : `${folder}/alerts.json`;
    return JSON.parse(readFileSync(path, 'utf8'));
  };
  const child = { takes: true };
  const begin = () => {
    const watch = new AlertWatch({
      clock,
      log: (line) => logged.push(line),
      folders,
      ask: () => askPrometheus('127.0.0.1', port),
      startJob: ({ argv }) => {
        // What `alerts send` leaves when the receiver took all of it.
        started.push(argv.join(' '));
        if (!child.takes) return;
        const [receiver] = SETTINGS.receivers;
        if (receiver === undefined) return;
        const news = alertNews(receiver, result().alerts, told(), clock.now());
        if (news === undefined) return;
        const record = afterTold(told(), news, new Date(clock.now()).toISOString());
        const receivers = { 'ops/webhook': record };
        const to = existsSync(beside(folder)) ? folders.memory : folder;
        writeFileSync(`${to}/alerts-told.json`, JSON.stringify({ version: 1, receivers }));
      },
      isRunning: () => false,
    });
    t.teardown(() => watch.stop());
    watch.set(SETTINGS);
    return watch;
  };
  const told = () => {
    const inMemory = `${folders.memory}/alerts-told.json`;
    const path = existsSync(inMemory) ? inMemory : `${folder}/alerts-told.json`;
    return existsSync(path)
      ? JSON.parse(readFileSync(path, 'utf8')).receivers['ops/webhook']
      : undefined;
  };
  const looked = () =>
    until('a look is over', () => {
      try {
        return Date.parse(result().askedAt) === clock.now();
      } catch {
        return false;
      }
    });
  /** Looks of half a minute each. */
  const looks = async (count: number) => {
    for (let look = 0; look < count; look += 1) {
      clock.moveTo(clock.now() + 30_000);
      await looked();
    }
  };
  const names = () => result().alerts.map(({ name }) => name);
  return {
    prometheus,
    begin,
    looks,
    looked,
    names,
    result,
    started,
    logged,
    child,
    clock,
    folders,
  };
}

t.test('what fires is told once, and its end once it is sure', async (t) => {
  const { prometheus, begin, looks, looked, names, result, started } = await world(t);
  prometheus.alerts = [{ name: 'BackupFailed' }, { name: 'Slow', state: 'pending' }];
  begin();
  await looked();
  t.match(result(), {
    answeredAt: '2026-11-28T10:00:00.000Z',
    alerts: [
      {
        name: 'BackupFailed',
        severity: 'page',
        summary: 'BackupFailed happened.',
        runbook: 'backup-failed',
        since: '2026-11-28T09:59:00.123Z',
      },
    ],
  });
  t.same(started, ['alerts send']);
  await looks(4);
  t.equal(started.length, 1, 'nothing new, nobody is told');
  prometheus.alerts = [];
  await looks(3);
  t.same(names(), ['BackupFailed'], 'Prometheus may just have started anew');
  prometheus.alerts = [{ name: 'BackupFailed', state: 'pending' }];
  await looks(6);
  t.same(names(), ['BackupFailed'], 'the condition holds still');
  t.equal(started.length, 1);
  prometheus.alerts = [];
  await looks(4);
  t.same(names(), []);
  t.equal(started.length, 2, 'its end is told');
});

t.test('a new agent tells nobody twice, and forgets no end', async (t) => {
  const { prometheus, begin, looks, looked, names, started } = await world(t);
  prometheus.alerts = [{ name: 'BackupFailed' }];
  const first = begin();
  await looked();
  first.stop();
  prometheus.alerts = [];
  const second = begin();
  await looks(1);
  t.same(names(), ['BackupFailed']);
  t.equal(started.length, 1);
  second.stop();
  prometheus.alerts = [{ name: 'BackupFailed' }];
  begin();
  await looks(2);
  t.equal(started.length, 1);
});

t.test('a Prometheus that cannot be asked is an alert itself, and ends none', async (t) => {
  const { prometheus, begin, looks, looked, names, started, logged } = await world(t);
  prometheus.alerts = [{ name: 'BackupFailed' }];
  begin();
  await looked();
  prometheus.status = 503;
  await looks(9);
  t.same(names(), ['BackupFailed'], 'as long as an apply may take');
  await looks(2);
  t.same(names(), ['BackupFailed', 'PrometheusSilent']);
  t.equal(started.length, 2);
  t.equal(logged.length, 1, 'said once');
  t.match(logged[0], /cannot be asked for alerts: it answered 503/);
  await looks(5);
  t.equal(started.length, 2);
  prometheus.status = 200;
  await looks(1);
  t.same(names(), ['BackupFailed']);
  t.equal(started.length, 3, 'that it answers again is told');
});

t.test('a disk that takes nothing silences no alert', async (t) => {
  const { prometheus, begin, looks, looked, names, result, started, logged, folders } =
    await world(t);
  begin();
  await looked();
  mkdirSync(beside(folders.disk));
  prometheus.alerts = [{ name: 'DiskFull' }];
  await looks(1);
  t.same(names(), ['DiskFull']);
  t.same(started, ['alerts send'], 'told all the same');
  await looks(2);
  t.equal(started.length, 1, 'once');
  t.match(logged, [/^alerts are kept in memory only: /]);
  t.equal(logged.length, 1, 'said once');
  rmSync(beside(folders.disk), { recursive: true });
  await looks(1);
  t.notOk(existsSync(`${folders.memory}/alerts.json`), 'the disk holds again');
  t.match(result().alerts, [{ name: 'DiskFull' }]);
});

t.test('where nothing can be saved at all, somebody is told still', async (t) => {
  const { prometheus, begin, started, logged, folders, child } = await world(t);
  child.takes = false;
  for (const folder of [folders.disk, folders.memory]) mkdirSync(beside(folder));
  prometheus.alerts = [{ name: 'DiskFull' }];
  begin();
  await until('the child is started', () => started.length === 1);
  t.match(logged, [/kept in memory only/, /^alerts cannot be saved: /]);
});

t.test('a child that fails is started again after longer and longer pauses', async (t) => {
  const { prometheus, begin, looks, looked, started, child } = await world(t);
  prometheus.alerts = [{ name: 'BackupFailed' }];
  child.takes = false;
  const watch = begin();
  await looked();
  t.equal(started.length, 1);
  watch.jobEnded('daily', 'failed');
  await looks(1);
  t.equal(started.length, 2, 'the failure of another job is none');
  watch.jobEnded('alerts', 'failed');
  await looks(1);
  t.equal(started.length, 2, 'not so soon');
  await looks(1);
  t.equal(started.length, 3, 'after a minute');
  watch.jobEnded('alerts', 'timeout');
  await looks(3);
  t.equal(started.length, 3);
  await looks(1);
  t.equal(started.length, 4, 'after two');
  for (let run = 0; run < 10; run += 1) watch.jobEnded('alerts', 'failed');
  await looks(59);
  t.equal(started.length, 4);
  await looks(1);
  t.equal(started.length, 5, 'after half an hour at the most');
  watch.jobEnded('alerts', 'done');
  await looks(1);
  t.equal(started.length, 6);
});

t.test('an agent that lost what it saw ends nothing at once', async (t) => {
  const { prometheus, begin, looks, looked, names, started, folders } = await world(t);
  prometheus.alerts = [{ name: 'BackupFailed' }];
  const first = begin();
  await looked();
  first.stop();
  // As a power cut may leave it; Prometheus starts anew as well.
  writeFileSync(`${folders.disk}/alerts.json`, '');
  prometheus.alerts = [];
  begin();
  await looks(3);
  t.same(names(), ['BackupFailed']);
  t.equal(started.length, 1);
  await looks(2);
  t.same(names(), []);
  t.equal(started.length, 2);
});

t.test('what somebody is told of outlives a power cut; the rest costs no sync', async (t) => {
  const { prometheus, begin, looks, looked } = await world(t);
  const syncs = t.capture(fs, 'fsyncSync', fs.fsyncSync);
  begin();
  await looked();
  syncs();
  await looks(2);
  t.equal(syncs().length, 0, 'nothing new');
  prometheus.alerts = [{ name: 'BackupFailed' }];
  await looks(1);
  t.equal(syncs().length, 2, 'the file and its folder');
  await looks(2);
  t.equal(syncs().length, 0);
});

t.test('a clock that was put back holds no end and no silence for hours', async (t) => {
  const { prometheus, begin, looks, looked, names, clock } = await world(t);
  prometheus.alerts = [{ name: 'BackupFailed' }];
  begin();
  await looked();
  clock.jumpTo('2026-11-28T05:00:00Z');
  prometheus.alerts = [];
  await looks(6);
  t.same(names(), []);
  prometheus.status = 503;
  await looks(2);
  clock.jumpTo('2026-11-28T01:00:00Z');
  await looks(12);
  t.same(names(), ['PrometheusSilent']);
});

t.test('a file is whole also where one write takes a part only', async (t) => {
  const folder = t.testdir();
  const { writeSync } = fs;
  t.intercept(fs, 'writeSync', {
    value: (file: number, bytes: string | Uint8Array, from = 0) =>
      writeSync(file, Buffer.from(bytes as Uint8Array), from, Math.min(3, bytes.length - from)),
  });
  replaceFile(`${folder}/file`, 'größer als drei', { mode: 0o600, durable: false });
  t.equal(readFileSync(`${folder}/file`, 'utf8'), 'größer als drei');
});

t.test('who wants what, how often, and when after a failure', async (t) => {
  const [receiver] = SETTINGS.receivers;
  if (receiver === undefined) throw new Error('no receiver');
  const alert = (severity: string) => ({
    ...{ key: severity, name: severity, severity, summary: '', runbook: '' },
    since: '2026-11-28T10:00:00.000Z',
  });
  const now = Date.parse('2026-11-28T10:00:00Z');
  const [page, warn, info] = ['page', 'warn', 'info'].map(alert);
  if (page === undefined || warn === undefined || info === undefined) throw new Error('no alert');
  const active = [page, warn, info];
  const news = alertNews(receiver, active, undefined, now);
  t.same(news, { firing: [page, warn], still: [], resolved: [] });
  if (news === undefined) return;
  const told = afterTold(undefined, news, '2026-11-28T10:00:00.000Z');
  const hour = 3_600_000;
  t.equal(alertNews(receiver, active, told, now + 4 * hour - 1), undefined);
  t.same(alertNews(receiver, active, told, now + 4 * hour)?.still, [page]);
  t.same(alertNews(receiver, active, told, now + 24 * hour)?.still, [page, warn]);
  t.same(alertNews(receiver, [warn, page], told, now + 24 * hour)?.still, [page, warn], 'gravest');
  t.same(alertNews(receiver, active, told, now - 1)?.still, [page, warn], 'told in the future');
  t.same(alertNews(receiver, [warn], told, now)?.resolved, [page]);
  const failed = { told: [], failures: 3, failedAt: '2026-11-28T10:00:00.000Z', why: '' };
  t.equal(alertNews(receiver, active, failed, now + 239_000), undefined);
  t.ok(alertNews(receiver, active, failed, now + 240_000));
  t.ok(alertNews(receiver, active, { ...failed, failures: 99 }, now + hour / 2), 'half an hour');
  t.ok(
    alertNews(receiver, active, failed, now - hour),
    'a clock that was put back silences nobody',
  );
});
