import t from 'tap';
import { listVolumes, pruneVolumes } from '../../installer/apply/volumes.ts';
import { platform } from './platform.ts';
import { processOn, SERVER } from './process.ts';
import { PATHS, World } from './world.ts';

async function withLeftover(): Promise<World> {
  const world = new World();
  await world.apply(platform());
  await world.apply(platform({ withCache: false }));
  world.engine.volumeLabels.set('theirs', {});
  return world;
}

function prune(world: World, answer: boolean) {
  return pruneVolumes(world.context, {
    process: processOn(SERVER, { pid: 500 }),
    waitSeconds: 0,
    confirm: async () => answer,
  });
}

t.test('the volumes of the project are listed with who uses them', async (t) => {
  const world = await withLeftover();
  t.strictSame(await listVolumes(world.context), [
    { name: 'demo_cache', component: 'cache', usedBy: [], wanted: false },
    { name: 'demo_postgres', component: 'postgres', usedBy: ['demo-postgres-1'], wanted: true },
  ]);
});

t.test('prune removes what no service uses, once it is confirmed, and audits it', async (t) => {
  const world = await withLeftover();
  t.strictSame(await prune(world, false), []);
  t.ok(world.engine.volumeLabels.has('demo_cache'));
  t.strictSame(await prune(world, true), ['demo_cache']);
  t.strictSame([...world.engine.volumeLabels.keys()].sort(), ['demo_postgres', 'theirs']);
  t.match(world.text(PATHS.audit), 'remove-volume:demo_cache');
});

t.test('prune removes nothing while it cannot be read what the applied stack names', async (t) => {
  const world = await withLeftover();
  world.host.files.write(`${PATHS.stack}/compose.yaml`, Buffer.from('volumes: { data: {} }\n'), {
    ...{ mode: 0o644, uid: 0, gid: 0 },
  });
  await t.rejects(prune(world, true), { code: 'drift/file-damaged', hint: /apply --adopt/ });
  t.ok(world.engine.volumeLabels.has('demo_cache'));
});

t.test(
  'a volume that the applied stack names is kept even when its container is gone',
  async (t) => {
    const world = await withLeftover();
    world.engine.remove(world.containerId('postgres') ?? '');
    t.strictSame(await prune(world, true), ['demo_cache']);
    t.ok(world.engine.volumeLabels.has('demo_postgres'));
  },
);
