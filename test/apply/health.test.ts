import t from 'tap';
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

/** Answers of the app, one after the other; the last one stays. */
function answers(world: World, ...bodies: { exitCode?: number; stdout?: string }[]): string[][] {
  const asked: string[][] = [];
  world.host.on(
    ['curl'],
    ({ argv }) => {
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
  const asked = answers(world, WELL, WELL, { stdout: 'starting\n503' }, WELL, WELL, WELL);
  await world.apply(checked());
  t.equal(asked.length, 6);
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
    world.host.on(['curl'], () => (isSick() ? { stdout: 'database down\n200' } : WELL), {
      looks: true,
    });
    await t.rejects(world.apply(checked({ web: '2' })), {
      code: 'health/not-healthy',
      why: /does not hold "database up"\nlast log lines:\nwaiting for migrations\nrolled back: .*web brought back/,
    });
  },
);

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
