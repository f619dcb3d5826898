import { createServer } from 'node:net';
import t from 'tap';
import { probe } from '../../installer/apply/probe.ts';
import type { ContainerState } from '../../installer/engine/engine.ts';
import { LocalHost } from '../../installer/host/local.ts';
import type { HttpCheck } from '../../installer/model/contribution.ts';
import { type PlatformOptions, platform } from './platform.ts';
import { World } from './world.ts';

const CHECK: HttpCheck = {
  service: 'web',
  port: 3000,
  path: '/health',
  expect: 'database up',
  intervalSeconds: 5,
  timeoutSeconds: 2,
  healthy: 3,
  unhealthy: 3,
};

function checked(options: PlatformOptions = {}): ReturnType<typeof platform> {
  return (observed) => ({ ...platform(options)(observed), httpChecks: [CHECK] });
}

function edgeAnswer(world: World): { stdout: string } {
  return { stdout: JSON.stringify(world.edgeStatus()) };
}

/** Answers of the app, one after the other; the last one stays. */
function answers(world: World, ...bodies: { exitCode?: number; stdout?: string }[]): string[][] {
  const asked: string[][] = [];
  world.host.on(
    ['curl'],
    ({ argv }) => {
      if (argv.at(-1)?.endsWith('/replicas')) return edgeAnswer(world);
      asked.push([...argv]);
      return bodies.length > 1 ? bodies.shift() : bodies[0];
    },
    { looks: true },
  );
  return asked;
}

const WELL = { stdout: 'database up\n200' };

t.test('a replica has to answer well several times in a row', async (t) => {
  const world = new World();
  const moved = { stdout: 'database up\n302' };
  const asked = answers(world, WELL, WELL, { stdout: 'starting\n503' }, WELL, moved, WELL);
  await world.apply(checked());
  t.equal(asked.length, 9, 'and once more after it was attached anew');
  t.equal(asked[0]?.at(-1), 'http://10.0.0.2:3000/health');
});

t.test(
  'an answer without the expected text is no health, and the message says what was missing',
  async (t) => {
    const world = new World();
    world.engine.behave('web', { logs: 'waiting for migrations' });
    answers(world, WELL);
    await world.apply(checked());
    const isSick = () =>
      world.engine.all().some(({ imageReference }) => /web:2$/.test(imageReference));
    const answer = () => (isSick() ? { stdout: 'database down\n200' } : WELL);
    world.host.on(
      ['curl'],
      ({ argv }) => (argv.at(-1)?.endsWith('/replicas') ? edgeAnswer(world) : answer()),
      { looks: true },
    );
    await t.rejects(world.apply(checked({ web: '2' })), {
      code: 'health/not-healthy',
      why: /does not hold "database up"\nlast log lines:\nwaiting for migrations\nrolled back: /,
    });
  },
);

t.test('without a path and a command the port has to take connections', async (t) => {
  const world = new World();
  const { path: _path, expect: _expect, ...check } = CHECK;
  const withPort: ReturnType<typeof platform> = (observed) => ({
    ...platform()(observed),
    portChecks: [check],
  });
  const asked: string[][] = [];
  const answers = [1, 0, 124, 0, 0, 0];
  world.host.on(
    ['timeout', '2', 'bash'],
    ({ argv }) => {
      asked.push([...argv]);
      return { exitCode: answers.length > 1 ? (answers.shift() ?? 0) : (answers[0] ?? 0) };
    },
    { looks: true },
  );
  await world.apply(withPort);
  t.equal(asked.length, 9);
  t.strictSame(asked[0]?.slice(-2), ['10.0.0.2', '3000']);

  const next = new World();
  next.host.on(['timeout', '2', 'bash'], () => ({ exitCode: 1 }), { looks: true });
  await t.rejects(next.apply(withPort), {
    code: 'health/not-healthy',
    why: /^port 3000 takes no connection/,
  });
});

t.test('on a real machine: a listener, nobody, and one that takes and says nothing', async (t) => {
  const host = new LocalHost();
  const server = createServer((socket) => socket.on('close', () => socket.destroy()).resume());
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  t.teardown(() => server.close());
  const address = server.address();
  const port = typeof address === 'object' && address !== null ? address.port : 0;
  const container = {
    name: 'web-1',
    addresses: { front: '127.0.0.1' },
  } as unknown as ContainerState;
  const { path: _path, expect: _expect, ...check } = { ...CHECK, port, timeoutSeconds: 60 };
  t.equal(await probe(host, check, container), undefined);
  await new Promise((resolve) => server.close(resolve));
  t.equal(await probe(host, check, container), `port ${port} takes no connection`);
});

t.test(
  'a replica that does not listen is waited for, and then named with the reason',
  async (t) => {
    const world = new World();
    answers(world, { exitCode: 7, stdout: '\n000' });
    const start = world.clock.now().getTime();
    await t.rejects(world.apply(checked()), {
      code: 'health/not-healthy',
      why: /GET \/health on port 3000/,
    });
    t.ok(world.clock.now().getTime() - start >= 60_000);
  },
);
