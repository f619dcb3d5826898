import t, { type Test } from 'tap';
import { AppError } from '../../installer/errors.ts';
import { SimulatedKill } from '../support/effects.ts';
import { platform } from './platform.ts';
import { UpgradeWorld } from './upgrade-world.ts';
import { kinds, PATHS } from './world.ts';

const OLD = 'demo_postgres';
const NEW = 'demo_postgres-17';

async function onFifteen(): Promise<UpgradeWorld> {
  const server = new UpgradeWorld();
  await server.apply('15');
  server.write('of before');
  return server;
}

function runsOn(t: Test, server: UpgradeWorld, volume: string, at: string): void {
  t.equal(server.server(), volume, `the right cluster serves, ${at}`);
  t.strictSame(server.rows.get(volume), server.acknowledged, `no row is lost, ${at}`);
}

async function failureOf(work: Promise<unknown>): Promise<unknown> {
  return await work.then(
    () => undefined,
    (error: unknown) => error,
  );
}

t.test('an upgrade is one step before everything that it is for', async (t) => {
  const server = await onFifteen();
  const { plan } = await server.apply('17');
  const ids = kinds(plan);
  t.ok(ids.indexOf('upgrade-postgres') < ids.findIndex((id) => id.startsWith('write-file')));
  t.match(
    plan.operations.find(({ id }) => id === 'upgrade-postgres'),
    {
      impact: 'recreate',
      from: '15',
      to: '17',
      volume: 'postgres-17',
    },
  );
  runsOn(t, server, NEW, 'undisturbed');
  t.equal(server.phase(), 'done');
  t.ok(server.world.engine.volumeLabels.has(OLD), 'the old cluster stays');
  t.equal((await server.apply('17')).result, 'unchanged');
});

t.test(
  'an upgrade that is killed anywhere converges, and no row that was taken is lost',
  async (t) => {
    const reference = await onFifteen();
    reference.world.host.effects.revive();
    await reference.apply('17');
    const effects = reference.world.host.effects.count;
    t.ok(effects > 20, `${effects} effects`);
    for (let effect = 1; effect <= effects; effect += 1) {
      for (const when of ['before', 'after'] as const) {
        const server = await onFifteen();
        server.world.host.crashAt({ effect, when });
        const killed = await failureOf(server.apply('17'));
        const at = `killed ${when} effect ${effect}: ${killed}`;
        if (!(killed instanceof SimulatedKill)) t.fail(at);
        server.world.host.effects.revive();
        server.write('between');
        await server.apply('17');
        server.write('of after');
        runsOn(t, server, NEW, at);
        t.equal(server.phase(), 'done', at);
        t.ok(server.world.engine.volumeLabels.has(OLD), at);
        t.equal((await server.apply('17')).result, 'unchanged', at);
      }
    }
  },
);

t.test(
  'a new server that does not become healthy: the old one is back, killed anywhere on the way',
  async (t) => {
    const sick = async (): Promise<UpgradeWorld> => {
      const server = await onFifteen();
      server.world.sickImages.add('holdfast/postgres:17');
      return server;
    };
    const reference = await sick();
    reference.world.host.effects.revive();
    await t.rejects(reference.apply('17'), {
      code: 'health/not-healthy',
      why: /Postgres is back on its cluster of version 15/,
    });
    const effects = reference.world.host.effects.count;
    runsOn(t, reference, OLD, 'undisturbed');
    t.notOk(reference.world.engine.volumeLabels.has(NEW));
    for (let effect = 1; effect <= effects; effect += 1) {
      for (const when of ['before', 'after'] as const) {
        const server = await sick();
        server.world.host.crashAt({ effect, when });
        const killed = await failureOf(server.apply('17'));
        const at = `killed ${when} effect ${effect}: ${killed}`;
        // At the audit line it is the failure that counts.
        t.ok(killed instanceof Error, at);
        server.world.host.effects.revive();
        if (server.server() === OLD) server.write('between');
        await t.rejects(server.apply('17'), { code: 'health/not-healthy' }, at);
        runsOn(t, server, OLD, at);
        t.equal(server.phase(), undefined, at);
        t.notOk(server.world.engine.volumeLabels.has(NEW), at);
        server.write('of after');
        t.equal((await server.apply('15')).plan.drift.length, 0, `nothing looks like drift, ${at}`);
        runsOn(t, server, OLD, `after an apply of the old config, ${at}`);
      }
    }
  },
);

t.test('what somebody wrote to the new server is never taken back by itself', async (t) => {
  const server = await onFifteen();
  const failed = await failureOf(
    server.apply(
      '17',
      {},
      {
        verify: async () => {
          server.write('to the new one');
          throw new AppError({ code: 'health/front-door', what: 'no answer', hint: 'none' });
        },
      },
    ),
  );
  t.match(failed, { why: /1 rows were written to Postgres 17 already.*holdfast postgres revert/ });
  runsOn(t, server, NEW, 'after the failure');
  t.equal(server.phase(), 'switched');
  await server.apply('17');
  runsOn(t, server, NEW, 'after the next apply');
  t.equal(server.phase(), 'done');
});

t.test('rows that came in beside a sick service of the same level stay', async (t) => {
  const server = new UpgradeWorld();
  const { engine, sickImages } = server.world;
  await server.apply('15', { withCache: false });
  server.write('of before');
  sickImages.add('registry.example/cache:1');
  const waitHealthy = engine.waitHealthy.bind(engine);
  engine.waitHealthy = async (...request) => {
    if (server.server() === NEW && server.acknowledged.length === 1) server.write('to the new one');
    await waitHealthy(...request);
  };
  await t.rejects(server.apply('17', { withCache: true }), {
    code: 'health/not-healthy',
    why: /1 rows were written to Postgres 17 already/,
  });
  runsOn(t, server, NEW, 'beside a sick cache');
  t.equal(server.acknowledged.length, 2);
  t.equal(server.phase(), 'switched');
});

/** An upgrade that stays on the new server because somebody wrote, though the apply failed. */
async function onSeventeenUnfinished(): Promise<UpgradeWorld> {
  const server = await onFifteen();
  const verify = async (): Promise<void> => {
    server.write('to the new one');
    throw new AppError({ code: 'health/front-door', what: 'no answer', hint: 'none' });
  };
  await failureOf(server.apply('17', {}, { verify }));
  return server;
}

for (const counts of [true, false]) {
  t.test(`what was written since an unfinished upgrade stays, counted: ${counts}`, async (t) => {
    const server = await onSeventeenUnfinished();
    server.counts = counts;
    server.write('days later');
    const { engine } = server.world;
    const containers = engine.containers.bind(engine);
    // The next apply has the server in its plan, and is interrupted before it comes to it.
    engine.containers = async (labels) =>
      (await containers(labels)).map((one) =>
        one.service === 'postgres' ? { ...one, memoryLimit: 1 } : one,
      );
    const stop = new AbortController();
    // The check of what was rendered, after which the first container is touched.
    server.world.host.on(['docker', 'run'], () => {
      stop.abort();
      return {};
    });
    await t.rejects(server.apply('17', { nginxConf: 'worker 2;\n' }, { interrupt: stop.signal }), {
      code: 'consent/interrupted',
    });
    t.ok(engine.volumeLabels.has(NEW));
    runsOn(t, server, NEW, 'interrupted days later');
  });
}

t.test('a new cluster whose rows nobody can count is kept beside the old one', async (t) => {
  const server = await onFifteen();
  server.counts = false;
  server.world.sickImages.add('holdfast/postgres:17');
  await t.rejects(server.apply('17'), {
    code: 'health/not-healthy',
    why: /docker volume rm demo_postgres-17/,
  });
  runsOn(t, server, OLD, 'not counted');
  t.ok(server.world.engine.volumeLabels.has(NEW));
  t.equal(server.phase(), undefined);
});

t.test('a restore after an unfinished upgrade is not undone by the next apply', async (t) => {
  const server = await onSeventeenUnfinished();
  const { world } = server;
  const volume = (): unknown => JSON.parse(world.text(PATHS.lock) ?? '').postgresVolume;
  await world.apply((observed) => {
    const image = observed.lock.images.postgres;
    if (image === undefined) throw new Error('the lock names no Postgres');
    return platform({ postgres: { image, volume: 'postgres-restored' } })(observed);
  });
  t.equal(volume(), 'postgres-restored');
  t.equal(server.phase(), 'done');
  t.equal((await server.apply('17')).result, 'unchanged');
  t.equal(volume(), 'postgres-restored');
});

t.test('a volume of somebody else is not removed on the way back', async (t) => {
  const server = await onFifteen();
  server.copyFails = true;
  server.world.host.on(['cluster', 'make'], () => {
    server.world.engine.volumeLabels.set(NEW, {});
    return {};
  });
  await t.rejects(server.apply('17'), { code: 'restore/upgrade-differs' });
  t.ok(server.world.engine.volumeLabels.has(NEW));
});

t.test('an interrupt after the copy does not leave the product without a database', async (t) => {
  const server = await onFifteen();
  const stop = new AbortController();
  const { host } = server.world;
  host.on(['cluster', 'rehearse'], () => {
    stop.abort();
    return {};
  });
  await t.rejects(server.apply('17', {}, { interrupt: stop.signal }), {
    code: 'consent/interrupted',
  });
  runsOn(t, server, OLD, 'interrupted');
  t.equal(server.phase(), undefined);
});

t.test('a copy that differs brings the old server back at once', async (t) => {
  const server = await onFifteen();
  server.copyFails = true;
  await t.rejects(server.apply('17'), {
    code: 'restore/upgrade-differs',
    why: /the old cluster runs again/,
  });
  server.write('afterwards');
  runsOn(t, server, OLD, 'copied badly');
  t.notOk(server.world.engine.volumeLabels.has(NEW));
});

t.test('what a rehearsal finds stops nothing', async (t) => {
  const server = await onFifteen();
  server.problems = ['a tablespace'];
  const { transcript } = server.world.host.effects;
  const begin = transcript.length;
  await t.rejects(server.apply('17'), { code: 'preflight/postgres-upgrade', why: 'a tablespace' });
  t.notOk(transcript.slice(begin).some((line) => /container (stop|rm)/.test(line)));
  runsOn(t, server, OLD, 'rehearsed badly');
});

t.test(
  'the way back, killed anywhere: the cluster of before serves, the other one stays',
  async (t) => {
    const upgraded = async (): Promise<UpgradeWorld> => {
      const server = await onFifteen();
      await server.apply('17');
      return server;
    };
    const reference = await upgraded();
    reference.world.host.effects.revive();
    await reference.revert();
    const effects = reference.world.host.effects.count;
    t.equal(reference.phase(), undefined);
    for (let effect = 1; effect <= effects; effect += 1) {
      const server = await upgraded();
      server.world.host.crashAt({ effect, when: 'after' });
      const killed = await failureOf(server.revert());
      const at = `killed after effect ${effect}: ${killed}`;
      t.type(killed, SimulatedKill, at);
      server.world.host.effects.revive();
      // As the command says it: a way back that had not begun is refused by `apply`.
      if (server.phase() === 'done') await server.revert();
      else await server.apply('15');
      runsOn(t, server, OLD, at);
      t.equal(server.phase(), undefined, at);
      t.ok(server.world.engine.volumeLabels.has(NEW), at);
      server.write('of after');
      runsOn(t, server, OLD, at);
      t.equal((await server.apply('15')).result, 'unchanged', at);
    }
  },
);

t.test('a way back that fails leaves the new server, and the way open', async (t) => {
  const server = await onFifteen();
  await server.apply('17');
  server.world.sickImages.add('holdfast/postgres:15');
  await t.rejects(server.revert(), { code: 'health/not-healthy' });
  runsOn(t, server, NEW, 'not reverted');
  t.equal(server.phase(), 'done');
  server.world.sickImages.clear();
  server.world.engine.behave('postgres', {});
  await server.revert();
  runsOn(t, server, OLD, 'reverted');
});

t.test('there is no way back to a cluster that somebody has dropped', async (t) => {
  const server = await onFifteen();
  await server.apply('17');
  server.world.engine.volumeLabels.delete(OLD);
  await t.rejects(server.revert(), {
    code: 'usage/no-upgrade',
    why: new RegExp(`${OLD} was removed`),
  });
  runsOn(t, server, NEW, 'nothing was changed');
  t.notOk(server.world.engine.volumeLabels.has(OLD), 'no empty one in its place');
});
