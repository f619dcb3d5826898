import t from 'tap';
import { isEngineLost } from '../../installer/engine/lost-engine.ts';
import { AppError } from '../../installer/errors.ts';
import { CommandError } from '../../installer/host/command-error.ts';
import { type PlatformOptions, platform } from './platform.ts';
import { World } from './world.ts';

const BEFORE: PlatformOptions = { dataNetwork: false, page: 'old' };
const AFTER: PlatformOptions = {
  web: '2',
  webReplicas: 3,
  nginxConf: 'worker 2;\n',
  roles: 'web,api',
  withCache: false,
};

/** The digest of a spec covers the generated password. */
function containersOf(world: World): string[] {
  return world.containers().map((line) => line.replaceAll(/[0-9a-f]{64}/g, 'DIGEST'));
}

async function applied(): Promise<World> {
  const world = new World();
  await world.apply(platform(BEFORE));
  world.host.effects.revive();
  return world;
}

t.test(
  'an engine that goes away at any effect: nothing is rolled back, and it converges',
  async (t) => {
    const reference = await applied();
    await reference.apply(platform(AFTER));
    const expected = containersOf(reference);
    const effects = reference.host.effects.count;
    t.ok(effects > 20);
    let lost = 0;
    for (let effect = 1; effect <= effects; effect += 1) {
      const world = await applied();
      world.host.effects.before(effect, () => {
        world.engine.unreachable = true;
      });
      const failure = await world.apply(platform(AFTER)).then(
        () => undefined,
        (error: unknown) => error,
      );
      if (failure !== undefined) {
        lost += 1;
        t.match(failure, { code: /^engine\// }, `effect ${effect}`);
        t.notMatch(String((failure as AppError).why), /rolled back:|rolling back failed/);
      }
      world.engine.unreachable = false;
      world.host.effects.revive();
      await world.apply(platform(AFTER));
      t.strictSame(containersOf(world), expected, `lost at effect ${effect}`);
      t.equal((await world.apply(platform(AFTER))).result, 'unchanged');
    }
    t.ok(lost > 10, 'most of them need the engine');
  },
);

t.test('it is told by what the docker programs say, and by nothing else', async (t) => {
  const said = (stderr: string, argv = ['docker', 'compose', 'up']) =>
    new CommandError({ reason: 'exit', argv, host: 'h', exitCode: 1, stderr });
  for (const words of [
    'Cannot connect to the Docker daemon at unix:///var/run/docker.sock. Is the docker daemon running?',
    'error during connect: Post "http://%2Fvar%2Frun%2Fdocker.sock/v1.45/exec": EOF',
    'unexpected EOF',
  ]) {
    t.ok(isEngineLost(said(words)), words);
  }
  const cause = said('Cannot connect to the Docker daemon');
  t.ok(isEngineLost(new AppError({ code: 'health/not-started', what: '', hint: '', cause })));
  t.notOk(isEngineLost(said('No such image: web:2')));
  t.notOk(isEngineLost(said('app: unexpected EOF in config')));
  t.notOk(isEngineLost(said('Cannot connect to the Docker daemon', ['curl'])));
  t.notOk(isEngineLost(new Error('unexpected EOF')));
});
