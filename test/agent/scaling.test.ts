import t from 'tap';
import { isAtMaximum, scalingWish } from '../../agent/scaling/decide.ts';
import { whyNotMore } from '../../agent/scaling/headroom.ts';
import { LoadWindow } from '../../agent/scaling/load-window.ts';
import { MachineLoad } from '../../agent/scaling/machine-load.ts';
import type { ScalingRule } from '../../installer/model/agent-settings.ts';

const RULE: ScalingRule = {
  min: 2,
  max: 6,
  scaleUp: { cpuPercent: 70, forSeconds: 120, step: 2 },
  scaleDown: { cpuPercent: 20, forSeconds: 300, step: 1 },
  cooldownSeconds: 180,
};

/** A load by percent at each ten seconds, newest last. */
function loadOf(percents: readonly number[]): LoadWindow {
  const load = new LoadWindow(300);
  for (const [index, percent] of percents.entries()) load.add({ at: index * 10_000, percent });
  return load;
}

const steady = (percent: number, count: number) => Array.from({ length: count }, () => percent);

/** The wish for these replicas, long after the last change. */
function wish(percents: readonly number[], replicas: number, quietUntil = 0) {
  return scalingWish(RULE, loadOf(percents), { replicas, quietUntil, now: 10_000_000 });
}

t.test('a load that stays high asks for a step more, once all of the time was seen', async (t) => {
  t.equal(wish(steady(90, 12), 2), undefined, '110 of 120 seconds');
  t.strictSame(wish(steady(90, 13), 2), {
    direction: 'up',
    replicas: 4,
    reason: 'CPU 90 % for 120 s (≥ 70 %)',
  });
  t.match(
    wish([...steady(0, 30), ...steady(90, 13)], 2),
    { replicas: 4 },
    'what was before is past',
  );
  t.match(wish(steady(90, 13), 5), { replicas: 6 }, 'to the most that is allowed');
  t.equal(wish(steady(90, 13), 6), undefined);
  t.equal(isAtMaximum(RULE, loadOf(steady(90, 13)), 6), true);
  t.equal(isAtMaximum(RULE, loadOf(steady(50, 13)), 6), false);
});

t.test('a load that stays low asks for a step less, never below the least', async (t) => {
  t.equal(wish(steady(5, 30), 4), undefined, '290 of 300 seconds');
  t.match(wish(steady(5, 31), 4), { direction: 'down', replicas: 3 });
  t.equal(wish(steady(5, 31), 2), undefined);
});

t.test('a load that comes and goes changes nothing', async (t) => {
  const wave = (high: number, low: number, half: number) =>
    Array.from({ length: 60 }, (_, index) => (Math.floor(index / half) % 2 === 0 ? high : low));
  for (const half of [1, 2, 4, 6, 9]) {
    for (let end = 13; end <= 60; end += 1) {
      t.equal(wish(wave(100, 5, half).slice(0, end), 4), undefined, `period ${half * 20} s`);
    }
  }
  t.equal(wish([...steady(100, 12), 10, 10, 10], 4), undefined, 'a peak that is over');
});

t.test('a single low value within a high load does not count', async (t) => {
  const values = steady(95, 13);
  values[5] = 30;
  t.match(wish(values, 2), { replicas: 4 });
});

t.test('nothing changes in the pause after a change', async (t) => {
  t.equal(wish(steady(90, 13), 2, 10_000_001), undefined);
  t.match(wish(steady(90, 13), 2, 10_000_000), { replicas: 4 });
});

t.test('a replica less must not make the others ask for it again', async (t) => {
  const rule: ScalingRule = {
    ...RULE,
    min: 1,
    scaleUp: { ...RULE.scaleUp, cpuPercent: 50 },
    scaleDown: { ...RULE.scaleDown, cpuPercent: 40 },
  };
  const load = loadOf(steady(35, 31));
  const at = (replicas: number) => scalingWish(rule, load, { replicas, quietUntil: 0, now: 1 });
  t.equal(at(2), undefined, 'the one that stays would be at 70 %');
  t.match(at(6), { direction: 'down', replicas: 5 }, 'those that stay would be at 42 %');
});

t.test('after the load was forgotten, all of the time has to be seen again', async (t) => {
  const load = loadOf(steady(90, 13));
  load.clear();
  t.equal(load.thirds(120), undefined);
});

t.test('after the clock was set back, too', async (t) => {
  const load = new LoadWindow(300);
  for (let index = 0; index < 20; index += 1) load.add({ at: (500 + index) * 10_000, percent: 5 });
  for (let index = 0; index < 12; index += 1) load.add({ at: index * 10_000, percent: 90 });
  t.equal(load.thirds(120), undefined);
  load.add({ at: 120_000, percent: 90 });
  t.strictSame(load.thirds(120), [90, 90, 90]);
});

const GIB = 1024 ** 3;
const MIB = 1024 ** 2;
const FREE = { memoryAvailable: 2 * GIB, memoryTotal: 4 * GIB, cpuBusyPercent: 40 };

t.test('the machine has to bear the new replica', async (t) => {
  const more = { count: 2, memoryBytes: 256 * MIB, connections: 10 };
  t.equal(whyNotMore(more, FREE, undefined), undefined);
  t.match(
    whyNotMore(more, { ...FREE, memoryAvailable: 700 * MIB }, undefined),
    '700 MiB of memory are available, 716 MiB are needed for 2 more',
  );
  t.match(whyNotMore(more, { ...FREE, cpuBusyPercent: 95 }, undefined), /processors .* 95 % busy/);
  t.equal(whyNotMore(more, FREE, { allowed: 80, taken: 60 }), undefined);
  t.match(
    whyNotMore(more, FREE, { allowed: 80, taken: 61 }),
    'services may open 80 database connections, and it would be 81',
  );
  t.equal(whyNotMore({ ...more, connections: 0 }, FREE, { allowed: 80, taken: 99 }), undefined);
});

t.test('what the machine has left comes from the kernel', async (t) => {
  const stat = (idle: number, busy: number) =>
    `cpu  ${busy} 0 0 ${idle} 0 0 0 0 50 0\ncpu0 1 1 1 1 1 1 1 1 0 0\n`;
  const folder = t.testdir({
    meminfo: 'MemTotal:        4000000 kB\nMemFree: 1 kB\nMemAvailable:    1000000 kB\n',
    stat: stat(1000, 1000),
  });
  const machine = new MachineLoad(folder);
  machine.look();
  t.strictSame(machine.headroom(), { memoryAvailable: 1_024_000_000, memoryTotal: 4_096_000_000 });
  const { writeFileSync } = await import('node:fs');
  writeFileSync(`${folder}/stat`, stat(1025, 1075));
  machine.look();
  t.equal(machine.headroom().cpuBusyPercent, 75);
});
