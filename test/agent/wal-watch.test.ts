import { mkdirSync, utimesSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import t, { type Test } from 'tap';
import { WalWatch } from '../../agent/wal-watch.ts';
import type { WalStatus } from '../../installer/model/wal-status.ts';
import { HandClock } from './support.ts';

const SHIP = {
  id: 'wal',
  argv: ['backup', 'ship-wal'],
  cron: '',
  jitterSeconds: 0,
  catchUp: false,
  timeoutSeconds: 60,
  quiet: true,
} as const;

/** A watch over a folder, with what it started; nothing ends by itself. */
function world(t: Test) {
  const folder = t.testdir({ wal: {}, results: {} });
  const clock = new HandClock('2026-11-28T10:00:00Z');
  const started: string[] = [];
  const running = new Set<string>();
  const watch = new WalWatch({
    clock,
    folder,
    startJob: ({ id }) => started.push(id),
    startBackup: (id) => started.push(id),
    isRunning: (id) => running.has(id),
  });
  t.teardown(() => watch.stop());
  let written = 0;
  return {
    clock,
    advance: (milliseconds: number) => clock.moveTo(clock.now() + milliseconds),
    started,
    running,
    begin: () =>
      watch.set({
        folder: join(folder, 'wal'),
        rpoSeconds: 60,
        baseJob: 'backup-base',
        ship: SHIP,
      }),
    receive: (name: string, at: number) => {
      writeFileSync(join(folder, 'wal', name), '');
      utimesSync(join(folder, 'wal', name), at / 1_000, at / 1_000);
    },
    status: (fields: Partial<WalStatus>) => {
      const path = join(folder, 'results', 'wal.json');
      writeFileSync(path, JSON.stringify({ version: 1, gaps: [], ...fields }));
      // Each a second later than the one before, so that a change shows.
      written += 1;
      utimesSync(path, written, written);
    },
    baseMade: (id: string) => {
      mkdirSync(join(folder, 'results'), { recursive: true });
      writeFileSync(join(folder, 'results', 'base.json'), JSON.stringify({ lastSuccess: { id } }));
    },
    metric: (name: string) => watch.metrics().find((one) => one.name === name)?.samples[0]?.value,
    watch,
  };
}

t.test('without the setting nothing is looked at', async (t) => {
  const { watch, advance, started } = world(t);
  watch.set(undefined);
  advance(3_600_000);
  t.same(started, []);
  t.same(watch.metrics(), []);
});

t.test('shipping starts when something moved, and is not started twice', async (t) => {
  const { begin, receive, status, advance, started, running } = world(t);
  status({});
  begin();
  started.length = 0;
  advance(60_000);
  t.same(started, [], 'nothing moves, nothing starts');
  receive('000000010000000000000001.partial', 2_000);
  advance(4_000);
  t.same(started, ['wal']);
  running.add('wal');
  advance(120_000);
  t.same(started, ['wal']);
  running.clear();
  status({ shippedFiles: { '000000010000000000000001.partial': 2_000 } });
  advance(120_000);
  t.same(started, ['wal'], 'all is shipped');
  receive('stranger.tmp', 9_000_000);
  advance(120_000);
  t.same(started, ['wal'], 'other files are not its business');
  advance(600_000);
  t.same(started, ['wal', 'wal'], 'the slot is looked at every ten minutes');
});

t.test('a run that failed is repeated after half a minute, not at once', async (t) => {
  const { begin, receive, status, advance, started } = world(t);
  status({});
  receive('000000010000000000000001', 2_000);
  begin();
  advance(20_000);
  t.same(started, ['wal']);
  advance(20_000);
  t.same(started, ['wal', 'wal']);
});

t.test('a base is made when the WAL broke off, until there is one from after that', async (t) => {
  const { begin, status, baseMade, advance, started, running, metric } = world(t);
  running.add('wal');
  status({ baseNeededSince: '2026-11-28T10:00:00.500Z' });
  begin();
  t.same(started, ['backup-base']);
  t.equal(metric('holdfast_wal_base_needed'), 1);
  baseMade('20261128T095959Z-abcdef');
  advance(300_000);
  t.same(started, ['backup-base'], 'not again so soon');
  advance(400_000);
  t.same(started, ['backup-base', 'backup-base'], 'one from before does not help');
  baseMade('20261128T100000Z-abcdef');
  advance(4_000);
  t.equal(started.length, 2);
  status({ baseNeededSince: '2026-11-28T10:05:00.500Z' });
  advance(4_000);
  t.equal(started.length, 3, 'another break of the WAL waits for no pause');
  baseMade('20261128T100501Z-abcdef');
  advance(3_600_000);
  t.equal(started.length, 3);
  t.equal(metric('holdfast_wal_base_needed'), 0);
});

t.test('a clock that was put back holds back no shipping and no base', async (t) => {
  const { begin, receive, status, advance, started, clock } = world(t);
  status({ baseNeededSince: '2026-11-28T10:00:00.000Z' });
  receive('000000010000000000000001', 2_000);
  begin();
  advance(4_000);
  t.same(started.toSorted(), ['backup-base', 'wal']);
  clock.jumpTo('2026-11-28T02:00:00Z');
  advance(4_000);
  t.same(started.toSorted(), ['backup-base', 'backup-base', 'wal', 'wal']);
});

t.test('what was shipped by a clock that was ahead hides nothing that comes later', async (t) => {
  const { begin, receive, status, advance, started, running, metric, clock } = world(t);
  running.add('backup-base');
  const ahead = clock.now() + 3 * 3_600_000;
  receive('000000010000000000000001', ahead);
  status({ shippedFiles: { '000000010000000000000001': ahead } });
  begin();
  advance(10_000);
  const archived = metric('holdfast_wal_last_archived_timestamp_seconds');
  started.length = 0;
  receive('000000010000000000000002.partial', clock.now());
  advance(60_000);
  t.ok(started.includes('wal'));
  t.equal(metric('holdfast_wal_last_archived_timestamp_seconds'), archived);
  clock.jumpTo('2026-11-28T09:00:00Z');
  advance(2_000);
  const now = metric('holdfast_wal_last_archived_timestamp_seconds') ?? 0;
  t.ok(now <= clock.now() / 1_000, 'the age is never below zero');
});

t.test('an agent that is started anew counts on from when the store failed', async (t) => {
  const { begin, receive, status, running, metric } = world(t);
  running.add('wal');
  receive('000000010000000000000001', 2_000);
  const since = '2026-11-28T08:30:00.000Z';
  status({ failure: { code: 'store/unreachable', what: 'away', since } });
  begin();
  t.equal(metric('holdfast_wal_last_archived_timestamp_seconds'), Date.parse(since) / 1_000);
});

t.test('a first setup whose WAL never gets away grows old', async (t) => {
  const { begin, receive, running, advance, clock, metric } = world(t);
  running.add('wal');
  receive('000000010000000000000001', 2_000);
  const begun = clock.now() / 1_000;
  begin();
  advance(600_000);
  t.equal(metric('holdfast_wal_last_archived_timestamp_seconds'), begun);
});

t.test('bases and breaks that a clock noted which was ahead', async (t) => {
  const { begin, status, baseMade, advance, started, running, metric } = world(t);
  running.add('wal');
  baseMade('20261129T100000Z-abcdef');
  status({ baseNeededSince: '2026-11-28T09:59:00.000Z' });
  begin();
  t.same(started, ['backup-base'], 'nobody knows whether that base came after the break');
  baseMade('20261128T100000Z-abcdef');
  t.equal(metric('holdfast_wal_base_needed'), 0);
  status({ baseNeededSince: '2026-11-29T10:00:00.000Z' });
  advance(4_000);
  t.equal(started.length, 2, 'a break that is to come is one of before');
  baseMade('20261128T100004Z-abcdef');
  advance(3_600_000);
  t.equal(started.length, 2, 'one base is enough for it');
});

t.test('the age of the WAL stands still while something waits', async (t) => {
  const { begin, receive, status, clock, advance, running, metric } = world(t);
  running.add('wal');
  status({ gaps: [{ noticedAt: '2026-11-28T10:00:00.000Z', why: 'lost' }] });
  begin();
  advance(10_000);
  const before = metric('holdfast_wal_last_archived_timestamp_seconds') ?? 0;
  t.equal(before, Math.floor(clock.now() / 2_000) * 2);
  receive('000000010000000000000001', 2_000);
  advance(60_000);
  t.equal(metric('holdfast_wal_last_archived_timestamp_seconds'), before);
  status({ shippedFiles: { '000000010000000000000001': 2_000 } });
  advance(10_000);
  t.ok((metric('holdfast_wal_last_archived_timestamp_seconds') ?? 0) > before + 60);
  status({ gaps: [{ noticedAt: '2026-11-28T10:00:00.000Z', why: 'lost' }] });
  t.equal(metric('holdfast_wal_last_gap_timestamp_seconds'), Date.UTC(2026, 10, 28, 10) / 1_000);
});
