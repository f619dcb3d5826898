import { randomBytes, randomInt } from 'node:crypto';
import { Readable } from 'node:stream';
import { buffer } from 'node:stream/consumers';
import type { Test } from 'tap';
import { isAtRest } from '../../installer/engine/container-state.ts';
import type { Engine } from '../../installer/engine/engine.ts';
import { isWell } from '../../installer/engine/is-well.ts';

/** What a container does once it runs. The log lines are `line 1` to `line 30`. */
export type Life =
  | 'sleeps'
  | 'gets-healthy'
  | 'stays-unhealthy'
  | 'logs-and-exits-with-3'
  | 'keeps-exiting-with-3';

export interface EngineUnderTest {
  readonly engine: Engine;
  /** Creates and starts a container; removed after the test. */
  readonly start: (
    life: Life,
    options: { readonly name: string; readonly labels?: Readonly<Record<string, string>> },
  ) => Promise<string>;
  readonly stop: (id: string) => Promise<void>;
  readonly image: string;
  readonly createVolume: (name: string, labels: Readonly<Record<string, string>>) => Promise<void>;
  readonly createNetwork: (
    name: string,
    subnet: string,
    labels: Readonly<Record<string, string>>,
  ) => Promise<void>;
}

/** What every {@link Engine} does. The programs used in containers are `cat`, `id`, `printenv` and `sh`. */
export function engineSuite(t: Test, begin: (t: Test) => Promise<EngineUnderTest>): void {
  t.test('the engine tells its versions and its machine', async (t) => {
    const { engine } = await begin(t);
    const info = await engine.info();
    t.match(info.version, /^\d+\.\d+/);
    t.match(info.apiVersion, /^1\.\d+$/);
    t.ok(info.memoryBytes > 0);
    t.ok(info.cores >= 1);
    t.match(info.dataRoot, /^\//);
  });

  t.test('containers are found by all of their labels, stopped ones too, by name', async (t) => {
    const { engine, start, stop } = await begin(t);
    const run = unique();
    const b = await start('sleeps', { name: `${run}-b`, labels: { run, kind: 'x' } });
    const a = await start('sleeps', { name: `${run}-a`, labels: { run, kind: 'x' } });
    const c = await start('sleeps', { name: `${run}-c`, labels: { run, kind: 'y' } });
    await stop(c);
    const all = await engine.containers({ run });
    t.strictSame(
      all.map(({ id, status }) => [id, status]),
      [
        [a, 'running'],
        [b, 'running'],
        [c, 'exited'],
      ],
    );
    t.strictSame(
      (await engine.containers({ run, kind: 'x' })).map(({ name }) => name),
      [`${run}-a`, `${run}-b`],
    );
    t.strictSame(await engine.containers({ run: 'nobody' }), []);
  });

  t.test('a container is described', async (t) => {
    const { engine, start, image } = await begin(t);
    const run = unique();
    const labels = { run, 'com.docker.compose.service': 'web' };
    const id = await start('sleeps', { name: run, labels });
    const [state] = await engine.containers({ run });
    t.match(state, {
      id,
      name: run,
      service: 'web',
      imageReference: image,
      imageId: (await engine.image(image))?.id,
      labels,
      status: 'running',
      health: 'none',
      oomKilled: false,
      restartCount: 0,
    });
    t.match(state?.startedAt, /^20\d\d-\d\d-\d\dT.*Z$/);
  });

  t.test('an image is described, a missing one is undefined', async (t) => {
    const { engine, image } = await begin(t);
    const state = await engine.image(image);
    t.match(state?.id, /^sha256:[0-9a-f]{64}$/);
    t.ok(state?.tags.includes(image));
    t.equal((await engine.image(state?.id ?? ''))?.id, state?.id);
    t.equal(await engine.image('holdfast/no-such-image:1'), undefined);
  });

  t.test('volumes and networks are found by label', async (t) => {
    const { engine, createVolume, createNetwork } = await begin(t);
    const run = unique();
    await createVolume(`${run}-data`, { run, component: 'x' });
    // Another run of this suite may go on beside this one, on the same engine.
    const subnet = `10.214.${randomInt(256)}.${randomInt(16) * 16}/28`;
    await createNetwork(`${run}-net`, subnet, { run });
    t.match(await engine.volumes({ run }), [{ name: `${run}-data`, labels: { component: 'x' } }]);
    t.strictSame(await engine.networks({ run }), [{ name: `${run}-net`, subnet }]);
    t.strictSame(await engine.volumes({ run: 'nobody' }), []);
    t.strictSame(await engine.networks({ run: 'nobody' }), []);
  });

  t.test('a program in a container gives both outputs and its exit code', async (t) => {
    const { engine, start } = await begin(t);
    const id = await start('sleeps', { name: unique() });
    const argv = ['sh', '-c', 'echo out; echo err >&2; exit 3'] as const;
    t.strictSame(await engine.exec(id, { argv: [...argv] }), {
      exitCode: 3,
      stdout: 'out\n',
      stderr: 'err\n',
    });
  });

  t.test('a program sees the end of its standard input: text, bytes, stream, none', async (t) => {
    const { engine, start } = await begin(t);
    const id = await start('sleeps', { name: unique() });
    const inputs = ['one\ntwo', Buffer.from('one\ntwo'), Readable.from(['one\n', 'two'])];
    for (const stdin of inputs) {
      const { exitCode, stdout } = await engine.exec(id, { argv: ['cat'], stdin });
      t.strictSame([exitCode, stdout], [0, 'one\ntwo']);
    }
    t.equal((await engine.exec(id, { argv: ['cat'] })).stdout, '');
  });

  t.test('user and environment are those asked for', async (t) => {
    const { engine, start } = await begin(t);
    const id = await start('sleeps', { name: unique() });
    const who = await engine.exec(id, { argv: ['id', '-u'], user: '33' });
    t.equal(who.stdout.trim(), '33');
    const env = { GREETING: "it's $HOME" };
    t.equal(
      (await engine.exec(id, { argv: ['printenv', 'GREETING'], env })).stdout.trim(),
      env.GREETING,
    );
  });

  t.test('a missing program is exit code 126 or 127', async (t) => {
    const { engine, start } = await begin(t);
    const id = await start('sleeps', { name: unique() });
    const { exitCode } = await engine.exec(id, { argv: ['no-such-program'] });
    t.ok(exitCode === 126 || exitCode === 127, `exit code ${exitCode}`);
  });

  t.test('bytes stream through a container unchanged, then the exit code comes', async (t) => {
    const { engine, start } = await begin(t);
    const id = await start('sleeps', { name: unique() });
    const bytes = randomBytes(3_000_000);
    const { stdout, done } = await engine.execStream(id, {
      argv: ['cat'],
      stdin: Readable.from([bytes.subarray(0, 1_234_567), bytes.subarray(1_234_567)]),
    });
    t.ok(bytes.equals(await buffer(stdout)));
    t.strictSame(await done, { exitCode: 0, stderr: '' });
  });

  t.test('nothing runs in a container that is stopped or not there', async (t) => {
    const { engine, start, stop } = await begin(t);
    const id = await start('sleeps', { name: unique() });
    await stop(id);
    await t.rejects(engine.exec(id, { argv: ['cat'] }), { code: 'engine/not-running' });
    const nobody = 'f'.repeat(64);
    await t.rejects(engine.exec(nobody, { argv: ['cat'] }), { code: 'engine/not-found' });
    await t.rejects(engine.logs(nobody, { tail: 1 }), { code: 'engine/not-found' });
  });

  t.test('logs are the last lines', async (t) => {
    const { engine, start } = await begin(t);
    const id = await start('logs-and-exits-with-3', { name: unique() });
    await t.rejects(engine.waitHealthy([id], { timeoutSeconds: 30 }), {
      code: 'health/not-healthy',
    });
    t.equal((await engine.logs(id, { tail: 2 })).trim(), 'line 29\nline 30');
  });

  t.test('logs are followed until the container ends, or nobody wants them', async (t) => {
    const { engine, start } = await begin(t);
    const follow = async (id: string, signal: AbortSignal) => {
      const chunks: Uint8Array[] = [];
      for await (const chunk of engine.followLogs(id, { tail: 30, signal })) chunks.push(chunk);
      return Buffer.concat(chunks).toString().trim().split('\n');
    };
    const never = new AbortController().signal;
    const ends = await start('logs-and-exits-with-3', { name: unique() });
    const lines = await follow(ends, never);
    t.equal(lines.at(-1), 'line 30');
    t.equal(lines.length, 30);

    const stop = new AbortController();
    const following = follow(await start('sleeps', { name: unique() }), stop.signal);
    await engine.info();
    stop.abort();
    t.strictSame(await following, [''], 'it runs on');
    await t.rejects(follow('f'.repeat(64), never), { code: 'engine/not-found' });
  });

  t.test('use is measured', async (t) => {
    const { engine, start } = await begin(t);
    const id = await start('sleeps', { name: unique() });
    const { memoryBytes, cpuSeconds } = await engine.stats(id);
    t.ok(memoryBytes > 0 && memoryBytes < 1e9, `${memoryBytes} bytes`);
    t.ok(cpuSeconds >= 0 && cpuSeconds < 60, `${cpuSeconds} s`);
  });

  t.test('waiting ends when all are healthy, or run on where there is no check', async (t) => {
    const { engine, start } = await begin(t);
    const ids = [
      await start('gets-healthy', { name: unique() }),
      await start('sleeps', { name: unique() }),
    ];
    await engine.waitHealthy(ids, { timeoutSeconds: 60 });
    t.equal(await isWell(engine, ids[0] ?? ''), true);
    await engine.waitHealthy([], { timeoutSeconds: 0 });
  });

  t.test('waiting fails at once for a container that ended, with its last 20 lines', async (t) => {
    const { engine, start } = await begin(t);
    const name = unique();
    const id = await start('logs-and-exits-with-3', { name });
    const began = performance.now();
    await t.rejects(engine.waitHealthy([id], { timeoutSeconds: 300 }), {
      code: 'health/not-healthy',
      what: new RegExp(name),
      why: /line 11\n(line \d+\n)+line 30$/,
    });
    t.ok(performance.now() - began < 60_000);
  });

  t.test('waiting fails at once for a container that keeps restarting', async (t) => {
    const { engine, start } = await begin(t);
    const id = await start('keeps-exiting-with-3', { name: unique() });
    await t.rejects(engine.waitHealthy([id], { timeoutSeconds: 300 }), {
      code: 'health/not-healthy',
      // Which are the last ones depends on how far the run of just now has come.
      why: /(line \d+\n)+line \d+$/,
    });
    const found = (await engine.containers({})).find((one) => one.id === id);
    t.ok(found !== undefined && !isAtRest(found), 'it is not at rest');
  });

  t.test('waiting fails at the deadline for a container that stays unhealthy', async (t) => {
    const { engine, start } = await begin(t);
    const well = await start('sleeps', { name: unique() });
    const name = unique();
    const sick = await start('stays-unhealthy', { name });
    await t.rejects(engine.waitHealthy([well, sick], { timeoutSeconds: 2 }), {
      code: 'health/not-healthy',
      what: new RegExp(name),
    });
  });
}

function unique(): string {
  return `holdfast-test-${randomBytes(5).toString('hex')}`;
}
