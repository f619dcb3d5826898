import { setImmediate } from 'node:timers/promises';
import t, { type Test } from 'tap';
import { CpuMeter } from '../../agent/scaling/cpu-meter.ts';
import { MachineLoad } from '../../agent/scaling/machine-load.ts';
import { Scaler } from '../../agent/scaling/scaler.ts';
import type { AgentJob, WatchedService } from '../../installer/model/agent-settings.ts';
import type { ReplicasResult } from '../../installer/model/replicas-result.ts';
import { watchedService } from './replica-world.ts';
import { HandClock } from './support.ts';

const SCALED = watchedService({
  cpus: 0.5,
  memoryBytes: 100 * 1024 ** 2,
  connections: 10,
  scaling: {
    min: 1,
    max: 3,
    scaleUp: { cpuPercent: 70, forSeconds: 60, step: 1 },
    scaleDown: { cpuPercent: 20, forSeconds: 120, step: 1 },
    cooldownSeconds: 180,
  },
});

const FREE = 'MemTotal: 4000000 kB\nMemAvailable: 2000000 kB\n';

/** A service whose containers use so many cores each, and a scaler that looks at it. */
function world(t: Test, services: readonly WatchedService[] = [SCALED], before?: ReplicasResult) {
  const clock = new HandClock('2026-05-01T00:00Z');
  const folder = t.testdir({ meminfo: FREE, stat: '' });
  const state = { cores: 0, changing: false, used: 0, replicas: ['web-1'], running: '' };
  const jobs: AgentJob[] = [];
  const log: string[] = [];
  const scaler = new Scaler({
    clock,
    log: (text) => log.push(text),
    meter: new CpuMeter({
      get: async () => ({
        read: new Date(clock.now()).toISOString(),
        cpu_stats: { cpu_usage: { total_usage: state.used * 1e9 } },
      }),
    }),
    machine: new MachineLoad(folder),
    members: (service) =>
      service === 'web' ? state.replicas.map((id) => ({ id, replica: { isRunning: true } })) : [],
    isChanging: () => state.changing,
    start: (job) => {
      jobs.push(job);
      state.running = job.id;
      return true;
    },
    isRunning: (job) => state.running === job,
    onChange: () => undefined,
    before,
  });
  scaler.set({ services, connectionsAllowed: 80 });
  const pass = async (seconds: number) => {
    const end = clock.now() + seconds * 1_000;
    while (clock.now() < end) {
      clock.moveTo(Math.min(end, clock.now() + 250));
      state.used += 0.25 * state.cores;
      for (let turn = 0; turn < 4; turn += 1) await setImmediate();
    }
  };
  const end = (ok: boolean | 'skipped', replicas = state.replicas) => {
    state.replicas = replicas;
    scaler.ended(state.running, ok === 'skipped' ? ok : ok ? 'done' : 'failed');
    state.running = '';
  };
  return { scaler, state, jobs, log, pass, end, folder, clock };
}

t.test('load starts one replica more as a child process, with its reason', async (t) => {
  const { scaler, state, jobs, pass, end } = world(t);
  state.cores = 0.45;
  await pass(60);
  t.strictSame(jobs, [], 'not before all of the time was seen');
  await pass(20);
  t.match(jobs, [
    { id: 'scale-web', argv: ['scale', 'web', '2', '--reason', /CPU 90 % for 60 s/] },
  ]);
  t.match(scaler.result('web'), { changesUp: 0, last: { from: 1, to: 2, reason: /90 %/ } });
  await pass(200);
  t.equal(jobs.length, 1, 'one at a time');
  end(true, ['web-1', 'web-2']);
  t.match(scaler.result('web'), { changesUp: 1, last: { ok: true } }, 'counted once it is done');
  await pass(175);
  t.equal(jobs.length, 1, 'the pause after a change');
  await pass(30);
  t.match(jobs[1]?.argv, ['scale', 'web', '3']);
  end(true, ['web-1', 'web-2', 'web-3']);
  await pass(600);
  t.equal(jobs.length, 2, 'never more than the most');
  t.match(scaler.result('web'), { atMaximum: true, cpuPercent: 90 });
});

t.test('idling takes one away, down to the least', async (t) => {
  const { state, jobs, pass, end } = world(t);
  state.replicas = ['web-1', 'web-2'];
  state.cores = 0.02;
  await pass(160);
  t.match(jobs, [{ argv: ['scale', 'web', '1'] }]);
  end(true, ['web-1']);
  await pass(900);
  t.equal(jobs.length, 1);
});

t.test('a load that comes and goes changes nothing', async (t) => {
  const { state, jobs, pass } = world(t);
  state.replicas = ['web-1', 'web-2'];
  for (let round = 0; round < 20; round += 1) {
    state.cores = round % 2 === 0 ? 0.5 : 0;
    await pass(40);
  }
  t.strictSame(jobs, []);
});

t.test('nothing is measured or changed while somebody changes the server', async (t) => {
  const { scaler, state, jobs, pass } = world(t);
  state.changing = true;
  state.cores = 0.5;
  await pass(600);
  t.strictSame(jobs, []);
  t.equal(scaler.result('web')?.cpuPercent, undefined);
});

t.test('other containers than before: the load is watched anew', async (t) => {
  const { state, jobs, pass } = world(t);
  state.cores = 0.5;
  await pass(50);
  state.replicas = ['web-9'];
  await pass(50);
  t.strictSame(jobs, []);
  await pass(40);
  t.equal(jobs.length, 1);
});

t.test('a change that failed is tried again after a longer pause', async (t) => {
  const { scaler, state, jobs, pass, end } = world(t);
  state.cores = 0.5;
  await pass(80);
  end(false);
  t.match(scaler.result('web'), { changesUp: 0, last: { ok: false } });
  await pass(350);
  t.equal(jobs.length, 1);
  await pass(30);
  t.equal(jobs.length, 2);
});

t.test('a change that met the lock of somebody else counts as none', async (t) => {
  const { scaler, state, jobs, pass, end } = world(t);
  state.cores = 0.5;
  await pass(80);
  end('skipped');
  t.equal(scaler.result('web')?.last, undefined);
  t.match(scaler.result('web'), { changesUp: 0 });
  await pass(20);
  t.equal(jobs.length, 2, 'it is tried again at the next look');
  end(false);
  await pass(350);
  t.equal(jobs.length, 2);
  await pass(30);
  t.equal(jobs.length, 3, 'after one failure, not two');
  end('skipped');
  t.match(scaler.result('web'), { last: { ok: false } }, 'what was before it stays');
});

t.test('a clock that is set back neither stops the measuring nor prolongs the pause', async (t) => {
  const { state, jobs, pass, end, clock } = world(t);
  state.cores = 0.5;
  await pass(80);
  end(true, ['web-1', 'web-2']);
  clock.set(-3_600_000);
  await pass(170);
  t.equal(jobs.length, 1, 'the pause begins anew');
  await pass(30);
  t.match(jobs[1]?.argv, ['scale', 'web', '3']);
});

t.test('a pause that lies in the future of a new agent begins with it', async (t) => {
  const last = { at: '2026-06-01T00:00:00.000Z', from: 1, to: 2, reason: 'CPU', ok: true };
  const scaling = { min: 1, max: 3, atMaximum: false, changesUp: 4, changesDown: 2, last };
  const { state, jobs, pass } = world(t, [SCALED], {
    version: 1,
    services: [{ service: 'web', replicas: [], restarts: 0, takenOut: 0, scaling }],
  });
  state.cores = 0.5;
  await pass(170);
  t.strictSame(jobs, []);
  await pass(40);
  t.equal(jobs.length, 1);
});

t.test('without room nothing is started, and why is said once', async (t) => {
  const { writeFileSync } = await import('node:fs');
  const { scaler, state, jobs, log, pass, folder } = world(t);
  writeFileSync(`${folder}/meminfo`, 'MemTotal: 4000000 kB\nMemAvailable: 250000 kB\n');
  state.cores = 0.5;
  await pass(300);
  t.strictSame(jobs, []);
  t.match(scaler.result('web'), { blocked: /memory are available/ });
  t.equal(log.filter((line) => line.includes('gets no more replicas')).length, 1);
  writeFileSync(`${folder}/meminfo`, FREE);
  await pass(20);
  t.equal(jobs.length, 1);
  t.equal(scaler.result('web')?.blocked, undefined);
});

t.test('a new agent keeps to the pause and the counts of the one before', async (t) => {
  const scaling = {
    min: 1,
    max: 3,
    atMaximum: false,
    changesUp: 4,
    changesDown: 2,
    last: { at: '2026-04-30T23:59:00.000Z', from: 1, to: 2, reason: 'CPU', ok: true },
  };
  const before: ReplicasResult = {
    version: 1,
    services: [{ service: 'web', replicas: [], restarts: 0, takenOut: 0, scaling }],
  };
  const { scaler, state, jobs, pass } = world(t, [SCALED], before);
  t.match(scaler.result('web'), { changesUp: 4, changesDown: 2, last: { to: 2 } });
  state.cores = 0.5;
  await pass(115);
  t.strictSame(jobs, []);
  await pass(20);
  t.equal(jobs.length, 1);
});

t.test('a fixed number of replicas is not measured', async (t) => {
  const { scaling: _none, ...fixed } = SCALED;
  const { scaler, state, jobs, pass } = world(t, [fixed]);
  state.cores = 0.5;
  await pass(300);
  t.strictSame(jobs, []);
  t.equal(scaler.result('web'), undefined);
});
