import { randomBytes } from 'node:crypto';
import { Readable } from 'node:stream';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import t, { type Test } from 'tap';
import { DockerEngine } from '../../installer/engine/docker.ts';
import { isWell } from '../../installer/engine/is-well.ts';
import { engineSuite } from '../contract/engine-suite.ts';
import { dockerObjects } from '../support/docker-containers.ts';
import { testImage } from '../support/test-image.ts';
import { start } from './support/docker.ts';

const MIB = 1024 * 1024;

setFlagsFromString('--expose-gc');
const collectGarbage = runInNewContext('gc') as () => void;

t.test('DockerEngine on this machine', async (t) => {
  const engine = new DockerEngine();
  t.teardown(() => engine.close());
  engineSuite(t, async (t) => ({ engine, ...(await dockerObjects(t)) }));
});

async function sleeper(t: Test): Promise<{ engine: DockerEngine; id: string }> {
  const engine = new DockerEngine();
  t.teardown(() => engine.close());
  const { start } = await dockerObjects(t);
  const id = await start('sleeps', { name: `holdfast-test-${randomBytes(5).toString('hex')}` });
  return { engine, id };
}

t.test('a reader that waits holds the program up instead of filling our memory', async (t) => {
  const { engine, id } = await sleeper(t);
  const argv = ['sh', '-c', 'head -c 400000000 /dev/zero; echo finished >&2'] as const;
  const { stdout, done } = await engine.execStream(id, { argv: [...argv] });
  const settled = done.then(() => 'finished');
  const before = process.memoryUsage.rss();
  let bytes = 0;
  let looked = 0;
  let highest = 0;
  for await (const chunk of stdout) {
    if (bytes === 0) t.equal(await Promise.race([settled, quiet()]), 'held up');
    bytes += (chunk as Buffer).length;
    // Chunks that nobody holds any more are not what is measured, and go when the collector likes.
    if (bytes - looked >= 8 * MIB) {
      looked = bytes;
      collectGarbage();
      highest = Math.max(highest, process.memoryUsage.rss() - before);
    }
  }
  t.equal(bytes, 400_000_000);
  t.strictSame(await done, { exitCode: 0, stderr: 'finished\n' });
  t.ok(highest < 100 * MIB, `${Math.round(highest / MIB)} MiB for 400 MB`);
});

t.test('standard error is kept up to its last 16 KiB', async (t) => {
  const { engine, id } = await sleeper(t);
  const argv = ['sh', '-c', 'seq 100000 >&2; exit 5'] as const;
  const { stdout, done } = await engine.execStream(id, { argv: [...argv] });
  stdout.resume();
  const { exitCode, stderr } = await done;
  t.equal(exitCode, 5);
  t.equal(stderr.length, 16 * 1024);
  t.match(stderr, /99999\n100000\n$/);
});

t.test('a source that fails fails the call, not only the program', async (t) => {
  const { engine, id } = await sleeper(t);
  const broken = () =>
    Readable.from(
      (async function* () {
        yield Buffer.alloc(MIB);
        throw new Error('the source broke');
      })(),
    );
  const failure = { message: 'the source broke' };
  await t.rejects(engine.exec(id, { argv: ['cat'], stdin: broken() }), failure);
  const { stdout, done } = await engine.execStream(id, { argv: ['cat'], stdin: broken() });
  stdout.on('error', () => undefined).resume();
  await t.rejects(done, failure);
});

t.test('a program may end without reading its input', async (t) => {
  const { engine, id } = await sleeper(t);
  const endless = Readable.from(
    (async function* () {
      for (;;) yield Buffer.alloc(64 * 1024);
    })(),
  );
  const argv = ['sh', '-c', 'head -c 10; exit 4'] as const;
  const { exitCode, stdout } = await engine.exec(id, { argv: [...argv], stdin: endless });
  t.strictSame([exitCode, stdout.length], [4, 10]);
});

t.test('a reader that gives up settles the call', async (t) => {
  const { engine, id } = await sleeper(t);
  const argv = ['sh', '-c', 'exec cat /dev/zero'] as const;
  const { stdout, done } = await engine.execStream(id, { argv: [...argv] });
  stdout.once('data', () => stdout.destroy());
  await t.rejects(done, { code: 'engine/stream-cut' });
  const unread = await engine.execStream(id, { argv: [...argv] });
  unread.stdout.destroy();
  await t.rejects(unread.done, { code: 'engine/stream-cut' });
});

t.test('a killed container shows in the exit code', async (t) => {
  const { engine, id } = await sleeper(t);
  const argv = ['sh', '-c', 'echo begun; exec sleep 600'] as const;
  const { stdout, done } = await engine.execStream(id, { argv: [...argv] });
  stdout.once('data', () =>
    engine.exec(id, { argv: ['sh', '-c', 'kill -KILL -1'] }).catch(() => 0),
  );
  stdout.resume();
  t.equal((await done).exitCode, 137);
});

t.test('a program has the time that it is given', async (t) => {
  const { engine, id } = await sleeper(t);
  await t.rejects(engine.exec(id, { argv: ['sleep', '600'], timeoutSeconds: 1 }), {
    code: 'engine/exec-timeout',
  });
});

t.test('an engine that is not there is said', async (t) => {
  const engine = new DockerEngine({ socketPath: `${t.testdir({})}/none.sock` });
  await t.rejects(engine.info(), { code: 'engine/unreachable' });
  await t.rejects(engine.containers({}), { code: 'engine/unreachable' });
});

/** Long enough for a program that is not held up to write everything. */
async function quiet(): Promise<string> {
  const { promise, resolve } = Promise.withResolvers<string>();
  setTimeout(() => resolve('held up'), 1500);
  return promise;
}

t.test('what the engine has not looked at yet is asked by us', async (t) => {
  const engine = new DockerEngine();
  t.teardown(() => engine.close());
  const image = await testImage(t);
  const checked = (check: string, program: string) =>
    start(t, [
      ...['--health-interval', '1h', '--health-cmd', check, '--init', '--network', 'none'],
      ...[image, 'sh', '-c', program],
    ]);
  const well = await checked('test -e /tmp/well', 'sleep 3; mkdir -p /tmp; >/tmp/well; sleep 600');
  await engine.waitHealthy([well], { timeoutSeconds: 120 });
  t.equal(
    (await engine.containers({})).find(({ id }) => id === well)?.health,
    'starting',
    'the engine does not know it yet',
  );
  t.equal(await isWell(engine, well), true);
  const sick = await checked('false', 'sleep 600');
  await t.rejects(engine.waitHealthy([sick], { timeoutSeconds: 5 }), {
    code: 'health/not-healthy',
  });
  t.equal(await isWell(engine, sick), false);
  const brief = await checked('true', 'sleep 0.1; exit 3');
  await t.rejects(engine.waitHealthy([brief], { timeoutSeconds: 120 }), {
    code: 'health/not-healthy',
  });
});
