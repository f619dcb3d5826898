import t from 'tap';
import { isOpen, nextOpening } from '../../agent/schedule/daily-window.ts';
import {
  type MemoryStore,
  type ScheduleMemory,
  Scheduler,
  type SchedulerActions,
} from '../../agent/schedule/scheduler.ts';
import type { ScheduledJob } from '../../installer/model/agent-settings.ts';
import type { ZoneOffset } from '../../installer/model/wall-clock.ts';
import { HandClock, job } from './support.ts';

/** A scheduler with a memory that outlives it, as the file does. */
function machine(start: string, jobs: readonly ScheduledJob[], offset: ZoneOffset = () => 0) {
  const clock = new HandClock(start);
  const happened: string[] = [];
  const known = new Map<string, ScheduleMemory>();
  const memory: MemoryStore = {
    get: (id) => known.get(id),
    set: (id, value) => {
      known.set(id, value);
    },
  };
  const at = () => new Date(clock.now()).toISOString().slice(5, 16);
  const actions: SchedulerActions = {
    start: ({ id }, _slot, reason) => {
      happened.push(`${at()} ${id} ${reason}`);
    },
    missed: ({ id }) => {
      happened.push(`${at()} ${id} missed`);
    },
  };
  const boot = (host = 'a', timezone = 'UTC') => {
    const scheduler = new Scheduler({
      clock,
      host,
      memory,
      actions,
      offset,
      log: () => undefined,
    });
    scheduler.setJobs(jobs, timezone);
    scheduler.run();
    return scheduler;
  };
  return { clock, happened, boot, known, actions };
}

t.test('each slot starts its job once, however often the agent is restarted', async (t) => {
  const { clock, happened, boot } = machine('2026-05-01T00:00Z', [job({ id: 'daily' })]);
  let scheduler = boot();
  for (const time of ['2026-05-01T02:00:30Z', '2026-05-01T02:01Z', '2026-05-02T01:59:59Z']) {
    clock.moveTo(time);
    scheduler.stop();
    scheduler = boot();
  }
  clock.moveTo('2026-05-02T03:00Z');
  t.strictSame(happened, ['05-01T02:00 daily schedule', '05-02T02:00 daily schedule']);
});

t.test('a machine that was off catches up once, or notes what was missed', async (t) => {
  const jobs = [job({ id: 'eager' }), job({ id: 'lazy', catchUp: false })];
  const { clock, happened, boot } = machine('2026-05-01T00:00Z', jobs);
  boot().stop();
  clock.jumpTo('2026-05-05T11:00Z');
  boot();
  clock.moveTo('2026-05-06T01:00Z');
  t.strictSame(happened, ['05-05T11:00 eager catch-up', '05-05T11:00 lazy missed']);
});

t.test('a short absence is no miss', async (t) => {
  const { clock, happened, boot } = machine('2026-05-01T01:59Z', [
    job({ id: 'lazy', catchUp: false }),
  ]);
  boot().stop();
  clock.jumpTo('2026-05-01T02:05Z');
  boot();
  t.strictSame(happened, ['05-01T02:05 lazy schedule']);
});

t.test('an update may start as long as enough of its window is left', async (t) => {
  const update = job({ id: 'update', catchUp: false, lateAfterSeconds: 110 * 60 });
  for (const [up, then] of [
    ['03:45', '05-01T03:45 update catch-up'],
    ['03:55', '05-01T03:55 update missed'],
  ]) {
    const { clock, happened, boot } = machine('2026-05-01T01:59Z', [update]);
    boot().stop();
    clock.jumpTo(`2026-05-01T${up}Z`);
    boot();
    t.strictSame(happened, [then]);
  }
});

t.test('a new job, or one with a new schedule, owes nothing for the past', async (t) => {
  const { clock, happened, boot, known } = machine('2026-05-01T12:00Z', [job({ id: 'daily' })]);
  boot().stop();
  clock.jumpTo('2026-05-01T13:00Z');
  known.set('daily', { cron: '30 12 * * *', timezone: 'UTC', handled: Date.parse('2026-04-01Z') });
  boot().stop();
  boot('a', 'Europe/Paris').stop();
  t.strictSame(happened, []);
});

t.test(
  'a clock that is put back repeats nothing; one that was wrong is believed again',
  async (t) => {
    const { clock, happened, boot } = machine('2026-05-01T01:00Z', [job({ id: 'daily' })]);
    boot();
    clock.moveTo('2026-05-01T02:30Z');
    clock.jumpTo('2026-05-01T01:30Z');
    clock.moveTo('2026-05-01T02:30Z');
    t.strictSame(happened.splice(0), ['05-01T02:00 daily schedule']);

    clock.jumpTo('2030-01-01T02:00Z');
    clock.moveTo('2030-01-01T02:02Z');
    t.strictSame(happened.splice(0), ['01-01T02:00 daily schedule']);
    clock.jumpTo('2026-05-01T03:00Z');
    clock.moveTo('2026-05-03T03:00Z');
    t.strictSame(happened, ['05-02T02:00 daily schedule', '05-03T02:00 daily schedule']);
  },
);

t.test('jitter is the same on each day and differs between hosts', async (t) => {
  const late = job({ id: 'daily', jitterSeconds: 3_600 });
  const starts = (host: string): string[] => {
    const { clock, happened, boot } = machine('2026-05-01T00:00Z', [late]);
    boot(host);
    clock.moveTo('2026-05-03T00:00Z');
    return happened.map((line) => line.slice(6, 11));
  };
  const [first, second] = starts('host a');
  t.equal(first, second);
  const hosts = new Set(['b', 'c', 'd', 'e', 'f'].map((host) => starts(`host ${host}`)[0]));
  t.ok(hosts.size > 1);
  for (const time of hosts) t.match(time, /^0[23]:/);
});

t.test('jitter that is longer than the interval starves no job', async (t) => {
  const often = job({ id: 'often', cron: '*/5 * * * *', jitterSeconds: 3_600 });
  const { clock, happened, boot } = machine('2026-05-01T00:00Z', [often]);
  boot();
  clock.moveTo('2026-05-01T03:00Z');
  t.ok(happened.length >= 24, `${happened.length} runs`);
});

t.test(
  'outside of its window a job waits until it opens, also after the machine was off',
  async (t) => {
    const night = { from: 60, to: 180 };
    const jobs = [
      job({ id: 'inside', window: night }),
      job({ id: 'noon', cron: '0 12 * * *', window: night }),
      job({ id: 'often', cron: '30 */6 * * *', window: night }),
      job({ id: 'free', cron: '0 12 * * *' }),
    ];
    const { clock, happened, boot } = machine('2026-05-01T03:30Z', jobs);
    const scheduler = boot();
    const nexts = jobs.map((one) => {
      const next = scheduler.nextStart(one);
      return next === undefined ? undefined : new Date(next).toISOString().slice(5, 16);
    });
    t.strictSame(nexts, ['05-02T02:00', '05-02T01:00', '05-02T01:00', '05-01T12:00']);
    clock.moveTo('2026-05-02T01:30Z');
    scheduler.stop();
    t.strictSame(happened.splice(0), [
      '05-01T12:00 free schedule',
      '05-02T01:00 noon schedule',
      '05-02T01:00 often schedule',
    ]);
    clock.jumpTo('2026-05-02T13:00Z');
    boot().stop();
    t.strictSame(
      happened.splice(0),
      ['05-02T13:00 free catch-up'],
      'the others wait for the night',
    );
    clock.jumpTo('2026-05-03T02:40Z');
    boot();
    t.strictSame(happened, [
      '05-03T02:40 inside catch-up',
      '05-03T02:40 noon catch-up',
      '05-03T02:40 often catch-up',
    ]);
  },
);

t.test('what waited for a window does not all start in its first minute', async (t) => {
  const window = { from: 60, to: 180 };
  const names = ['daily', 'weekly', 'base', 'redis', 'files', 'drill', 'restore-test', 'appliance'];
  const jobs = names.map((id) => job({ id, cron: '0 12 * * *', jitterSeconds: 1_800, window }));
  const { clock, happened, boot } = machine('2026-05-01T03:30Z', jobs);
  const scheduler = boot();
  const nexts = jobs.map((one) => Math.floor((scheduler.nextStart(one) ?? 0) / 60_000));
  clock.moveTo('2026-05-02T02:00Z');
  t.equal(happened.length, jobs.length);
  const minutes = happened.map((line) => line.slice(0, 11));
  t.ok(new Set(minutes).size > 4, minutes.join());
  for (const minute of minutes) t.match(minute, /^05-02T01:[0-3]\d$/);
  t.ok(new Set(nexts).size > 4);
});

t.test('a run that died with the machine is owed until its window opens', async (t) => {
  const late = job({ id: 'late', window: { from: 60, to: 180 } });
  const { clock, happened, boot } = machine('2026-05-01T00:30Z', [late]);
  boot().stop();
  clock.jumpTo('2026-05-01T02:00Z');
  boot().stop();
  t.strictSame(happened.splice(0), ['05-01T02:00 late schedule']);
  clock.jumpTo('2026-05-01T09:00Z');
  const scheduler = boot();
  t.notOk(scheduler.mayStart(late));
  scheduler.owe(late, Date.parse('2026-05-01T02:00Z'));
  clock.moveTo('2026-05-02T01:30Z');
  t.strictSame(happened, ['05-02T01:00 late schedule']);
});

t.test('jitter that leads past the end of the window delays no job by a day', async (t) => {
  const late = job({ id: 'late', jitterSeconds: 1_800, window: { from: 23 * 60, to: 121 } });
  const { clock, happened, boot } = machine('2026-05-01T00:00Z', [late]);
  boot();
  clock.moveTo('2026-05-01T03:00Z');
  t.match(happened, [/^05-01T02:(0[2-9]|[12]\d) late schedule$/]);
});

t.test('a window goes by the clock on the wall when that is put on or back', async (t) => {
  const HOUR = 3_600_000;
  const change = Date.parse('2026-03-29T01:00Z');
  const paris = (instant: number) => (instant < change ? HOUR : 2 * HOUR);
  const window = { from: 5 * 60, to: 6 * 60 };
  const evening = Date.parse('2026-03-28T20:00Z');
  t.equal(new Date(nextOpening(window, evening, paris)).toISOString(), '2026-03-29T03:00:00.000Z');
  t.notOk(isOpen(window, Date.parse('2026-03-29T02:59Z'), paris));
  t.ok(isOpen(window, Date.parse('2026-03-29T03:00Z'), paris));
  t.notOk(isOpen(window, Date.parse('2026-03-29T04:00Z'), paris), 'the end is outside');
});

t.test(
  'a window in the hour that spring leaves out opens all the same, as long as ever',
  async (t) => {
    const HOUR = 3_600_000;
    // Paris: at 02:00 it becomes 03:00.
    const change = Date.parse('2026-03-29T01:00Z');
    const paris = (instant: number) => (instant < change ? HOUR : 2 * HOUR);
    const openMinutes = (from: number, to: number) => {
      const open: string[] = [];
      for (let at = change - 3 * HOUR; at < change + 3 * HOUR; at += 60_000) {
        if (isOpen({ from, to }, at, paris)) open.push(new Date(at).toISOString().slice(11, 16));
      }
      return [open.length, open[0]];
    };
    t.strictSame(openMinutes(120, 180), [60, '01:00'], 'all of the hour');
    t.strictSame(openMinutes(130, 170), [40, '01:10'], 'within it');
    t.strictSame(openMinutes(150, 210), [60, '01:00'], 'the hour cuts its begin off');
    t.strictSame(openMinutes(90, 150), [60, '00:30'], 'and here its end');
    t.strictSame(openMinutes(60, 240), [120, '00:00'], 'a longer one loses the hour');
    const opening = nextOpening({ from: 130, to: 170 }, change - 5 * HOUR, paris);
    t.equal(new Date(opening).toISOString(), '2026-03-29T01:10:00.000Z');

    const jobs = [job({ id: 'night', cron: '30 2 * * *', window: { from: 130, to: 170 } })];
    const { clock, happened, boot } = machine('2026-03-28T12:00Z', jobs, paris);
    boot();
    clock.moveTo('2026-03-30T12:00Z');
    t.strictSame(happened, ['03-29T01:10 night schedule', '03-30T00:30 night schedule']);
  },
);

t.test('a start that fails takes nothing from the other jobs', async (t) => {
  const { clock, happened, boot, actions } = machine('2026-05-01T00:00Z', [
    job({ id: 'broken' }),
    job({ id: 'whole' }),
  ]);
  const start = actions.start;
  actions.start = (one, slot, reason) => {
    if (one.id === 'broken') throw new Error('no space left on device');
    start(one, slot, reason);
  };
  boot();
  clock.moveTo('2026-05-01T02:00:30Z');
  t.strictSame(happened, ['05-01T02:00 whole schedule']);
});
