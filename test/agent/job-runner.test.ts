import { mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import t, { type Test } from 'tap';
import { type Clock, systemClock } from '../../agent/clock.ts';
import { History, type RunRecord, type RunResult } from '../../agent/jobs/history.ts';
import { JobRunner } from '../../agent/jobs/job-runner.ts';
import { bootId, isAlive } from '../../agent/jobs/process-identity.ts';
import { RunningFiles } from '../../agent/jobs/running.ts';
import { HandClock, job, linesOf, until } from './support.ts';

function runnerIn(t: Test, script: string, clock: Clock = systemClock) {
  const folder = t.testdir({ 'program.sh': script });
  const ended: { job: string; result: RunResult; tail: string }[] = [];
  const running = new RunningFiles(`${folder}/running`);
  const history = new History(`${folder}/history.jsonl`);
  const make = () =>
    new JobRunner({
      clock,
      log: () => undefined,
      program: ['/bin/sh', `${folder}/program.sh`],
      environment: { PATH: '/usr/bin:/bin', FOLDER: folder },
      folder,
      running,
      history,
      events: {
        started: () => undefined,
        ended: ({ job: id }, result, tail) => {
          ended.push({ job: id, result, tail });
        },
      },
    });
  const records = () =>
    linesOf(`${folder}/history.jsonl`).map((line) => JSON.parse(line) as RunRecord);
  return { folder, ended, make, running, records };
}

t.test('a job is the program with its words; its end is noted with the exit code', async (t) => {
  const { make, ended, records, running } = runnerIn(t, 'echo "got $*"; exit "$2"');
  const runner = make();
  t.equal(runner.start(job({ id: 'good', argv: ['run', '0'] }), 'schedule', 0), true);
  runner.start(job({ id: 'bad', argv: ['run', '12'] }), 'schedule', 0);
  await until('both ended', () => ended.length === 2);
  t.match(
    records().find((record) => record.job === 'good'),
    { result: 'done', exitCode: 0 },
  );
  t.match(
    records().find((record) => record.job === 'bad'),
    {
      result: 'failed',
      exitCode: 12,
      tail: 'got run 12',
      slot: '1970-01-01T00:00:00.000Z',
    },
  );
  t.strictSame(running.all(), []);
});

t.test('what is needed and already done by somebody else is no failure', async (t) => {
  const { make, ended } = runnerIn(t, 'exit "$1"');
  const runner = make();
  runner.start(job({ id: 'needed', argv: ['6'] }), 'load');
  runner.start(job({ id: 'due', argv: ['6'] }), 'schedule', 0);
  runner.start(job({ id: 'broken', argv: ['7'] }), 'load');
  await until('all ended', () => ended.length === 3);
  const results = Object.fromEntries(ended.map(({ job: id, result }) => [id, result]));
  t.strictSame(results, { needed: 'skipped', due: 'failed', broken: 'failed' });
});

t.test('a job never overlaps itself', async (t) => {
  const { make, ended, records, folder } = runnerIn(
    t,
    'until [ -e "$FOLDER/go" ]; do sleep 0.05; done',
  );
  const runner = make();
  t.equal(runner.start(job({ id: 'slow' }), 'schedule'), true);
  t.equal(runner.start(job({ id: 'slow' }), 'schedule'), false);
  t.equal(records()[0]?.result, 'skipped');
  writeFileSync(`${folder}/go`, '');
  await until('it ended', () => ended.length === 1);
  t.equal(runner.start(job({ id: 'slow' }), 'schedule'), true, 'and then runs again');
  await until('it ended again', () => ended.length === 2);
});

t.test('at its time limit the whole process group ends', async (t) => {
  const clock = new HandClock('2026-05-01T00:00Z');
  const { make, ended, folder } = runnerIn(
    t,
    'trap "" INT; sleep 300 & echo $! > "$FOLDER/grandchild"; wait',
    clock,
  );
  make().start(job({ id: 'stuck', timeoutSeconds: 60 }), 'schedule');
  const grandchild = () => linesOf(`${folder}/grandchild`)[0];
  await until('it has a grandchild', () => grandchild() !== undefined);
  clock.moveTo(clock.now() + 60_000);
  await until('it was stopped', () => ended.length === 1);
  t.equal(ended[0]?.result, 'timeout');
  const pid = Number(grandchild());
  await until('the grandchild is gone', () => {
    try {
      process.kill(pid, 0);
      return readFileSync(`/proc/${pid}/stat`, 'utf8').includes(') Z ');
    } catch {
      return true;
    }
  });
});

t.test('a program that cannot be started is a failure with its reason', async (t) => {
  const { folder, ended, running } = runnerIn(t, '');
  const runner = new JobRunner({
    clock: systemClock,
    log: () => undefined,
    program: [`${folder}/nothing-here`],
    environment: {},
    folder,
    running,
    history: new History(`${folder}/history.jsonl`),
    events: {
      started: () => undefined,
      ended: ({ job: id }, result, tail) => {
        ended.push({ job: id, result, tail });
      },
    },
  });
  runner.start(job({ id: 'broken' }), 'schedule');
  await until('it failed', () => ended.length === 1);
  t.match(ended[0], { result: 'failed', tail: /ENOENT/ });
  t.equal(runner.isRunning('broken'), false);
});

t.test(
  'a run of a former agent is found, not started twice, and settled by its own result',
  async (t) => {
    const { folder, ended, make } = runnerIn(t, 'until [ -e "$FOLDER/go" ]; do sleep 0.05; done');
    const former = make();
    const backup = job({ id: 'backup-daily', argv: ['backup', 'run', 'daily'] });
    former.start(backup, 'schedule');
    former.abandon();

    const next = make();
    t.strictSame(next.adopt(), []);
    t.equal(next.isRunning('backup-daily'), true);
    t.equal(next.start(backup, 'schedule'), false);

    mkdirSync(`${folder}/results`);
    const now = new Date().toISOString();
    writeFileSync(
      `${folder}/results/daily.json`,
      JSON.stringify({ lastRun: { startedAt: now, finishedAt: now, ok: true } }),
    );
    writeFileSync(`${folder}/go`, '');
    // The former one is still in this process and sees its child end too.
    await until('both know', () => ended.length === 2);
    t.strictSame(
      ended.map(({ result }) => result),
      ['done', 'done'],
    );
  },
);

t.test('a run that vanished with the machine is lost, and said to be', async (t) => {
  const { make, running, records } = runnerIn(t, '');
  running.write({
    job: 'backup-daily',
    argv: ['backup', 'run', 'daily'],
    process: { pid: process.pid, startTime: '1', bootId: 'another boot' },
    reason: 'schedule',
    startedAt: Date.now() - 60_000,
    timeoutSeconds: 600,
  });
  const lost = make().adopt();
  t.match(lost, [{ job: 'backup-daily' }]);
  t.equal(records()[0]?.result, 'lost');
  t.strictSame(running.all(), []);
  t.equal(
    isAlive({ pid: process.pid, startTime: '1', bootId: bootId() }),
    false,
    'a reused number is another',
  );
});

t.test('the history is bounded and survives a torn line', async (t) => {
  const { folder } = runnerIn(t, '');
  const history = new History(`${folder}/history.jsonl`);
  const record: RunRecord = {
    job: 'x',
    reason: 'schedule',
    startedAt: '',
    finishedAt: '',
    result: 'failed',
    tail: 'x'.repeat(4_000),
  };
  for (let count = 0; count < 600; count += 1) history.add({ ...record, exitCode: count });
  const bytes = ['history.jsonl', 'history.jsonl.1']
    .map((name) => linesOf(`${folder}/${name}`).join('').length)
    .reduce((sum, length) => sum + length);
  t.ok(bytes < 1_200_000, `${bytes} bytes`);
  writeFileSync(`${folder}/history.jsonl`, '{"job":"torn', { flag: 'a' });
  const next = new History(`${folder}/history.jsonl`);
  next.add({ ...record, exitCode: 600 });
  t.strictSame(
    next.last(3).map(({ exitCode }) => exitCode),
    [598, 599, 600],
    'newest last, the torn one left out',
  );
});

t.test('a job runs also where its output and its end cannot be kept', async (t) => {
  const { make, ended, folder } = runnerIn(t, 'echo ran > "$FOLDER/ran"');
  const runner = make();
  rmSync(`${folder}/logs`, { recursive: true });
  rmSync(`${folder}/running`, { recursive: true, force: true });
  writeFileSync(`${folder}/running`, '');
  t.equal(runner.start(job({ id: 'alerts' }), 'load'), true);
  await until('it ended', () => ended.length === 1);
  t.match(ended, [{ job: 'alerts', result: 'done' }]);
  t.equal(readFileSync(`${folder}/ran`, 'utf8'), 'ran\n');
  t.equal(runner.isRunning('alerts'), false);
});
