import t from 'tap';
import { SimulatedKill } from '../support/effects.ts';
import { type PlatformOptions, platform } from './platform.ts';
import { PATHS, World } from './world.ts';

/** Everything that is true of a server after an apply, without what tells runs apart. */
function stateOf(world: World): unknown {
  const password = world.text(`${PATHS.secrets}/DB_PASSWORD`) ?? 'no password';
  const { [PATHS.audit]: _audit, ...files } = world.host.files.snapshot();
  const text = JSON.stringify(files).replaceAll(password, 'PASSWORD');
  // The digest of a spec covers the secret; equal digests in file and container are checked by `drift`.
  const withoutDigests = (line: string) =>
    line
      .replaceAll(/[0-9a-f]{64}/g, 'DIGEST')
      // A run that was killed may have written the state once more.
      .replace(/generation\\?": \d+/, 'GENERATION');
  return {
    files: JSON.parse(withoutDigests(text)),
    containers: world.containers().map(withoutDigests),
    networks: [...world.engine.networkStates.keys()].sort(),
    attached: world.engine
      .all()
      .map(({ name, networks }) => `${name} ${networks.join(' ')}`)
      .sort(),
    volumes: [...world.engine.volumeLabels.keys()].sort(),
  };
}

/** What must have happened after the last write of a file. */
const REACTIONS = [
  { file: 'nginx/nginx.conf', reaction: /nginx -s reload|compose .* up .* nginx/ },
  { file: 'postgres/postgresql.conf', reaction: /container restart|compose .* up .* postgres/ },
  { file: 'holdfast-agent.service', reaction: /systemctl daemon-reload/ },
];

function isSettled(world: World, file: string, reaction: RegExp): boolean {
  const { transcript } = world.host.effects;
  const written = transcript.findLastIndex(
    (line) => line.startsWith(`write `) && line.includes(file),
  );
  return transcript.findLastIndex((line) => reaction.test(line)) > written;
}

async function undisturbed(steps: readonly PlatformOptions[]): Promise<World> {
  const world = new World();
  for (const step of steps) await world.apply(platform(step));
  return world;
}

function crashesEverywhere(name: string, steps: readonly PlatformOptions[]): void {
  t.test(name, async (t) => {
    const [last = {}] = steps.slice(-1);
    const reference = await undisturbed(steps.slice(0, -1));
    reference.host.effects.revive();
    await reference.apply(platform(last));
    const effects = reference.host.effects.count;
    const expected = stateOf(reference);
    t.ok(effects > 20, `there are ${effects} effects to be killed at`);

    for (let effect = 1; effect <= effects; effect += 1) {
      for (const when of ['before', 'after'] as const) {
        const world = await undisturbed(steps.slice(0, -1));
        world.host.crashAt({ effect, when });
        const killed = await world.apply(platform(last)).then(
          () => undefined,
          (error: unknown) => error,
        );
        const at = `${when} effect ${effect}: ${killed instanceof Error ? killed.message : 'not killed'}`;
        if (!(killed instanceof SimulatedKill)) t.fail(at);
        world.host.effects.revive();
        await world.apply(platform(last));
        t.strictSame(stateOf(world), expected, at);
        const volumeTouched = world.host.effects.transcript.some((line) => /volume rm/.test(line));
        t.notOk(volumeTouched, `no volume is removed, ${at}`);
        for (const { file, reaction } of REACTIONS) {
          t.ok(isSettled(world, file, reaction), `${file} has taken effect, ${at}`);
        }
        const again = await world.apply(platform(last));
        t.equal(again.result, 'unchanged', `a further apply does nothing, ${at}`);
        t.strictSame(again.plan.drift, [], `nothing looks like drift, ${at}`);
      }
    }
  });
}

crashesEverywhere('a first apply killed anywhere converges when it is run again', [{}]);

crashesEverywhere('services that start together, killed anywhere', [
  {},
  { more: ['mail', 'news'], nginxConf: 'worker 3;\n', roles: 'web,mail', unit: 'off' },
]);

crashesEverywhere('a change of everything killed anywhere converges when it is run again', [
  { page: 'old', webReplicas: 1 },
  {
    web: '2',
    webReplicas: 3,
    nginxConf: 'worker 2;\n',
    roles: 'web,api',
    unit: 'off',
    withCache: false,
  },
]);

crashesEverywhere('what leaves the config, killed anywhere', [
  { more: ['shop'], token: 'of shop' },
  { more: ['store'], withCache: false, nginxConf: 'worker 2;\n', roles: 'store', unit: 'off' },
]);

crashesEverywhere('a network that comes, killed anywhere', [
  { dataNetwork: false },
  { dataNetwork: true, nginxConf: 'worker 3;\n', roles: 'web,api', unit: 'off' },
]);

crashesEverywhere('a network that goes, killed anywhere', [
  {},
  { dataNetwork: false, nginxConf: 'worker 3;\n', roles: 'web,api', unit: 'off' },
]);

t.test(
  'configs that were killed one after the other leave nothing that looks like drift',
  async (t) => {
    const [first, second, third] = [11, 12, 13].map((n) => ({ nginxConf: `worker ${n};\n` }));
    const reference = await undisturbed([{}]);
    reference.host.effects.revive();
    const before = reference.host.effects.transcript.length;
    await reference.apply(platform(first));
    const written = reference.host.effects.transcript
      .slice(before)
      .findIndex((line) => line.startsWith(`write ${PATHS.stack}/nginx/nginx.conf`));
    for (let effect = 1; effect <= reference.host.effects.count; effect += 1) {
      const world = await undisturbed([{}]);
      world.host.crashAt({ effect: written + 1, when: 'after' });
      await t.rejects(world.apply(platform(first)), { name: 'SimulatedKill' });
      world.host.effects.revive();
      world.host.crashAt({ effect, when: 'before' });
      await t.rejects(world.apply(platform(second)), { name: 'SimulatedKill' });
      world.host.effects.revive();
      await t.resolves(world.apply(platform(third)), `killed before effect ${effect}`);
    }
  },
);
