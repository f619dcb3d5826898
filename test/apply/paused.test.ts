import t from 'tap';
import { planServer } from '../../installer/apply/apply.ts';
import { platform } from './platform.ts';
import { kinds, World } from './world.ts';

/** A platform whose cache a backup holds still. */
async function held(): Promise<{ readonly world: World; readonly cache: string }> {
  const world = new World();
  await world.apply(platform());
  const cache = world.containerId('cache') ?? '';
  world.engine.pause(cache);
  return { world, cache };
}

t.test('what a backup holds still is not taken for broken', async (t) => {
  const { world } = await held();
  const { plan } = await planServer(world.context, { render: async (seen) => platform()(seen) });
  t.strictSame(kinds(plan), []);
  t.strictSame(plan.drift, []);
});

t.test('a change waits until it is awake', async (t) => {
  const { world, cache } = await held();
  const { transcript } = world.host.effects;
  const engineCommands = () => transcript.filter((line) => line.includes('docker ')).length;
  const before = engineCommands();
  let meanwhile = before;
  let seconds = 0;
  world.clock.onPause = (more) => {
    seconds += more;
    if (seconds < 30 || world.engine.get(cache).status !== 'paused') return;
    meanwhile = engineCommands();
    world.engine.unpause(cache);
  };
  await world.apply(platform({ web: '2' }));
  t.ok(seconds >= 30);
  t.equal(meanwhile, before, 'nothing before');
  t.ok(engineCommands() > meanwhile);
  t.equal(world.containerId('cache'), cache, 'the same container');
});

t.test('one that stays paused is told, and left as it is by a rollback too', async (t) => {
  const { world, cache } = await held();
  world.sickImages.add('holdfast-build/web:2');
  await t.rejects(world.apply(platform({ web: '2' })), { code: 'health/not-healthy' });
  const told = world.events.filter((one) => one.kind === 'warning');
  t.match(told, [{ code: 'engine/paused', text: /demo-cache-1/ }]);
  t.equal(world.containerId('cache'), cache);
  t.equal(world.engine.get(cache).status, 'paused');
});
