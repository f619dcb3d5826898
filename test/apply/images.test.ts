import t from 'tap';
import { SimulatedKill } from '../support/effects.ts';
import { type PlatformOptions, platform } from './platform.ts';
import { kinds, PATHS, World } from './world.ts';

async function applied(...steps: readonly PlatformOptions[]): Promise<World> {
  const world = new World();
  for (const step of steps) await world.apply(platform(step));
  return world;
}

const webImages = (world: World): string[] =>
  [...world.engine.images.keys()].filter((reference) => reference.includes('web')).sort();

t.test('an image stays for one generation more, then it goes, as the plan says', async (t) => {
  const world = await applied({ web: '1' }, { web: '2' });
  t.strictSame(webImages(world), ['holdfast-build/web:1', 'holdfast-build/web:2']);
  t.equal((await world.apply(platform({ web: '2' }))).result, 'unchanged', 'no apply of its own');

  const next = await world.apply(platform({ web: '3' }));
  t.match(next.plan.operations.at(-1), {
    kind: 'remove-images',
    references: ['holdfast-build/web:1'],
    impact: 'none',
  });
  t.strictSame(webImages(world), ['holdfast-build/web:2', 'holdfast-build/web:3']);
  t.ok(world.engine.images.has('holdfast/base:trixie-1'), 'the newest base stays');
  t.equal((await world.apply(platform({ web: '3' }))).result, 'unchanged');
});

t.test('a failing apply finds the image that it goes back to', async (t) => {
  const world = await applied({ web: '1' }, { web: '2' });
  world.sickImages.add('holdfast-build/web:3');
  await t.rejects(world.apply(platform({ web: '3' })), { code: 'health/not-healthy' });
  t.match(webImages(world), ['holdfast-build/web:1', 'holdfast-build/web:2']);
  world.sickImages.clear();
  world.engine.behave('web', {});
  await world.apply(platform({ web: '4' }));
  await world.apply(platform({ web: '5' }));
  await world.apply(platform({ web: '6' }));
  t.strictSame(webImages(world), ['holdfast-build/web:5', 'holdfast-build/web:6']);
});

t.test('what others brought, and what any container uses, is not removed', async (t) => {
  const world = new World();
  world.engine.addImage('holdfast-build/web:1');
  await world.apply(platform({ web: '1' }));
  await world.apply(platform({ web: '2' }));
  const other = world.engine.create({
    service: '',
    name: 'of-somebody-else',
    image: 'holdfast-build/web:2',
    labels: {},
    checked: false,
    memoryLimit: 0,
    networks: [],
  });
  await world.apply(platform({ web: '3' }));
  await world.apply(platform({ web: '4' }));
  t.match(webImages(world), [/web:1$/, /web:2$/, /web:3$/, /web:4$/]);
  world.engine.remove(other.id);
  await world.apply(platform({ web: '4', page: 'new' }));
  t.match(
    webImages(world),
    [/web:1$/, /web:3$/, /web:4$/],
    'once it is free it goes; the foreign one never; the release before stays for the way back',
  );
});

t.test('killed anywhere, nothing that is needed goes and nothing is forgotten', async (t) => {
  const steps = [{ web: '1' }, { web: '2' }];
  const reference = await applied(...steps);
  reference.host.effects.revive();
  await reference.apply(platform({ web: '3' }));
  const effects = reference.host.effects.count;
  for (let effect = 1; effect <= effects; effect += 1) {
    const world = await applied(...steps);
    world.host.crashAt({ effect, when: effect % 2 === 0 ? 'before' : 'after' });
    await t.rejects(world.apply(platform({ web: '3' })), SimulatedKill);
    world.host.effects.revive();
    t.ok(world.engine.images.has('holdfast-build/web:2'), `the one to go back to, ${effect}`);
    await world.apply(platform({ web: '3' }));
    const last = await world.apply(platform({ web: '3', page: 'a change' }));
    t.notOk(kinds(last.plan).length === 0);
    t.notOk(world.engine.images.has('holdfast-build/web:1'), `gone in the end, ${effect}`);
    const manifest = JSON.parse(world.text(PATHS.manifest) ?? '{}');
    t.notOk('holdfast-build/web:1' in manifest.images);
  }
});
