import t from 'tap';
import {
  edgeStatePath,
  readEdgeState,
  updateEdgeState,
} from '../../installer/engine/edge-state.ts';
import type { ContainerState } from '../../installer/engine/engine.ts';
import { AppError } from '../../installer/errors.ts';
import { withVerdict } from '../../installer/model/edge-state.ts';
import { type PlatformOptions, platform } from '../apply/platform.ts';
import { MIGRATE, PATHS, World } from '../apply/world.ts';

async function applied(options = {}): Promise<World> {
  const world = new World();
  await world.apply(platform(options));
  return world;
}

function web(world: World): string[] {
  return world.engine
    .all()
    .filter(({ service }) => service === 'web')
    .map(({ name, status, imageReference }) => `${name} ${status} ${imageReference}`)
    .sort();
}

async function serving(world: World): Promise<string[]> {
  const { services } = await readEdgeState({ host: world.host, paths: PATHS });
  return (services['web']?.replicas ?? []).map(({ container, state }) => `${container} ${state}`);
}

function commands(world: World, since: number): string[] {
  return world.host.effects.transcript.slice(since);
}

function named(world: World, name: string): ContainerState {
  const found = world.engine.all().find((one) => one.name === name);
  if (found === undefined) throw new Error(`no ${name}`);
  return found;
}

t.test('a new release starts beside the old one, which is kept stopped', async (t) => {
  const world = await applied();
  t.strictSame(await serving(world), ['demo-web_a-1 up']);
  const old = named(world, 'demo-web_a-1');
  const { plan } = await world.apply(platform({ web: '2' }));
  t.match(plan.operations.at(-1), {
    kind: 'compose-up',
    impact: 'reload',
    services: [{ service: 'web', change: 'release' }],
  });
  t.strictSame(web(world), [
    'demo-web_a-1 exited holdfast-build/web:1',
    'demo-web_b-1 running holdfast-build/web:2',
  ]);
  t.strictSame(await serving(world), ['demo-web_b-1 up']);
  t.equal(named(world, 'demo-web_a-1').id, old.id);
  const again = await world.apply(platform({ web: '2' }));
  t.strictSame([again.result, again.unhealthy], ['unchanged', []]);
});

t.test('the old one is stopped only after nginx follows and nothing is on its way', async (t) => {
  const world = await applied();
  const status = world.edgeStatus.bind(world);
  let looks = 0;
  world.edgeStatus = () => {
    looks += 1;
    const stillThere = named(world, 'demo-web_a-1').status;
    t.equal(stillThere, 'running', `look ${looks}`);
    const { services, ...rest } = status();
    if (looks < 3)
      return { ...rest, services: { web: { 'demo-web_a-1': { address: '', state: 'up' } } } };
    const inFlight = looks < 6 ? { 'demo-web_a-1': { requests: 1, webSockets: 2 } } : {};
    return { ...rest, services, inFlight };
  };
  await world.apply(platform({ web: '2' }));
  t.equal(looks, 6);
  t.match(web(world), [/a-1 exited/, /b-1 running/]);
});

t.test(
  'among its peers it has the name of the service once it is healthy, not before',
  async (t) => {
    const world = await applied();
    await world.apply(platform({ web: '2' }));
    t.ok(named(world, 'demo-web_b-1').aliases['demo_data-web']?.includes('web'));
    const lines = world.host.effects.transcript;
    const connected = lines.findLastIndex((line) => / network connect --alias web /.test(line));
    const started = lines.findLastIndex((line) => / up .* web_b$/.test(line));
    const switched = lines.findLastIndex((line) => line.startsWith('run flock'));
    t.ok(started < connected && connected < switched, `${started} ${connected} ${switched}`);
  },
);

t.test('a release that does not become healthy leaves the old one untouched', async (t) => {
  const world = await applied();
  const old = named(world, 'demo-web_a-1');
  world.sickImages.add('holdfast-build/web:2');
  const before = world.host.effects.transcript.length;
  await t.rejects(world.apply(platform({ web: '2' })), { code: 'health/not-healthy' });
  t.match(web(world), [/a-1 running/, /b-1 exited/]);
  t.strictSame(await serving(world), ['demo-web_a-1 up']);
  t.notMatch(commands(world, before).join('\n'), old.id);
  t.strictSame((await world.apply(platform())).result, 'unchanged');
});

t.test('a release that ends again and again is stopped as well', async (t) => {
  const world = await applied();
  world.endingImages.add('holdfast-build/web:2');
  await t.rejects(world.apply(platform({ web: '2' })), { code: 'health/not-healthy' });
  t.match(web(world), [/a-1 running/, /b-1 exited/]);
  t.strictSame((await world.apply(platform())).result, 'unchanged');
});

t.test('a migration that fails starts nothing', async (t) => {
  const world = await applied();
  world.host.on(MIGRATE, () => ({ exitCode: 1, stderr: 'column exists' }));
  await t.rejects(world.apply(platform({ web: '2' })), {
    code: 'health/migration-failed',
    why: /column exists/,
  });
  t.match(web(world), [/a-1 running/]);
});

t.test(
  'databases are backed up before another image migrates them, and for nothing less',
  async (t) => {
    const world = new World();
    let snapshots = 0;
    Object.assign(world.context, {
      snapshotBeforeMigration: async () => {
        t.match(web(world), [/a-1 running/], 'before anything of the new release is there');
        snapshots += 1;
        return [];
      },
    });
    await world.apply(platform());
    t.equal(snapshots, 0, 'the first release finds no data');
    await world.apply(platform({ webLevel: 'debug' }));
    t.match(web(world), [/a-1 exited .*:1/, /b-1 running .*:1/]);
    t.equal(snapshots, 0, 'the image has migrated already');
    await world.apply(platform());
    await world.apply(platform({ web: '2' }));
    t.equal(snapshots, 1);
  },
);

t.test('before a migration of another image there is a backup, or no migration', async (t) => {
  const world = await applied();
  let backups = 0;
  let migrations = 0;
  world.host.on(MIGRATE, () => {
    migrations += 1;
    return {};
  });
  const snapshotBeforeMigration = async () => {
    t.equal(migrations, backups, 'the backup comes first');
    backups += 1;
    if (backups === 2) {
      throw new AppError({ code: 'store/unreachable', what: 'no store', hint: 'holdfast doctor' });
    }
    return [];
  };
  Object.assign(world.context, { snapshotBeforeMigration });
  await world.apply(platform({ web: '2' }));
  t.strictSame([backups, migrations], [1, 1]);
  await t.rejects(world.apply(platform({ web: '3' })), {
    code: 'health/snapshot-failed',
    why: /no store/,
  });
  t.strictSame([backups, migrations], [2, 1]);
  t.match(web(world), [/a-1 exited .*:1$/, /b-1 running .*:2$/], 'the way back is still there');
});

t.test('a migration that fails half-way names the backup from before it', async (t) => {
  const failing = async (backups: readonly string[]) => {
    const world = await applied();
    world.host.on(MIGRATE, () => ({ exitCode: 1, stderr: 'column exists' }));
    Object.assign(world.context, { snapshotBeforeMigration: async () => backups });
    const error = await world.apply(platform({ web: '2' })).catch((thrown: unknown) => thrown);
    t.match(web(world), [/a-1 running/], 'the release before serves');
    return error;
  };
  t.match(await failing(['20261129T104831Z-ae3b21']), {
    code: 'health/migration-failed',
    why: /column exists/,
    hint: /run `holdfast apply` again; .*`holdfast restore 20261129T104831Z-ae3b21`/,
  });
  const { hint } = (await failing([])) as AppError;
  t.notMatch(hint, /restore/, 'where no backup was made, none is promised');
});

t.test('a release that dies after it took over gives way to the one before', async (t) => {
  const world = await applied();
  const pause = world.clock.pause.bind(world.clock);
  world.clock.pause = async (seconds) => {
    const fresh = world.engine.all().find(({ name }) => name === 'demo-web_b-1');
    const { services } = await readEdgeState({ host: world.host, paths: PATHS });
    if (services['web']?.slot === 'b' && fresh?.status === 'running') world.engine.stop(fresh.id);
    await pause(seconds);
  };
  await t.rejects(world.apply(platform({ web: '2' })), {
    code: 'health/release-died',
    what: /web died within 5 s .* the release before serves again/,
  });
  t.match(web(world), [/a-1 running/, /b-1 exited/]);
  t.strictSame(await serving(world), ['demo-web_a-1 up']);
});

t.test('what serves again is asked on its own port, not on that of what failed', async (t) => {
  const port = async (world: World): Promise<number | undefined> =>
    (await readEdgeState({ host: world.host, paths: PATHS })).services['web']?.port;
  const next = platform({ web: '2', webPort: 4000 });

  const sick = await applied();
  sick.sickImages.add('holdfast-build/web:2');
  await t.rejects(sick.apply(next), { code: 'health/not-healthy' });
  t.strictSame([await serving(sick), await port(sick)], [['demo-web_a-1 up'], 3000]);

  const dying = await applied();
  whileNewServes(dying, () => {
    const fresh = named(dying, 'demo-web_b-1');
    if (fresh.status === 'running') dying.engine.stop(fresh.id);
  });
  const portsOfOld = new Set<number | undefined>();
  const status = dying.edgeStatus.bind(dying);
  dying.edgeStatus = () => {
    const { web: listed } = JSON.parse(dying.text(edgeStatePath(PATHS)) ?? '').services;
    if (listed.slot === 'a') portsOfOld.add(listed.port);
    return status();
  };
  await t.rejects(dying.apply(next), { code: 'health/release-died' });
  t.strictSame([await serving(dying), await port(dying)], [['demo-web_a-1 up'], 3000]);
  t.strictSame([...portsOfOld], [3000], 'from the first moment on');

  const elsewhere = await applied();
  const verify = async (): Promise<void> => {
    t.equal(await port(elsewhere), 4000);
    throw new AppError({ code: 'health/front-door', what: 'no answer', hint: 'holdfast logs' });
  };
  await t.rejects(elsewhere.apply(platform({ webPort: 4000 }), { verify }), {
    code: 'health/front-door',
    why: /web brought back as before/,
  });
  t.strictSame([await serving(elsewhere), await port(elsewhere)], [['demo-web_a-1 up'], 3000]);
  t.equal((await elsewhere.apply(platform())).result, 'unchanged');
});

t.test('a release that dies of its first client, before nginx has followed, too', async (t) => {
  const world = await applied();
  const status = world.edgeStatus.bind(world);
  let looks = 0;
  world.edgeStatus = () => {
    looks += 1;
    if (looks === 1) world.engine.crash(named(world, 'demo-web_b-1').id);
    return status();
  };
  await t.rejects(world.apply(platform({ web: '2' })), {
    code: 'health/release-died',
    why: /ended and was started again/,
  });
  t.match(web(world), [/a-1 running/, /b-1 exited/]);
});

t.test('going back starts the containers that are there, without a migration', async (t) => {
  const world = await applied();
  await world.apply(platform({ web: '2' }));
  const old = named(world, 'demo-web_a-1');
  const before = world.host.effects.transcript.length;
  await world.apply(platform());
  t.match(web(world), [/a-1 running/, /b-1 exited/]);
  t.equal(named(world, 'demo-web_a-1').id, old.id);
  t.notMatch(commands(world, before).join('\n'), MIGRATE.join(' '));
});

t.test('going back to another number starts those that are there, and what lacks', async (t) => {
  for (const [before, after] of [
    [2, 3],
    [3, 2],
  ] as const) {
    const world = await applied({ webReplicas: before });
    await world.apply(platform({ web: '2', webReplicas: before }));
    const kept = [1, 2].map((number) => named(world, `demo-web_a-${number}`).id);
    const since = world.host.effects.transcript.length;
    await world.apply(platform({ webReplicas: after }));
    t.strictSame(
      web(world).filter((line) => line.includes(' running ')),
      [1, 2, 3].slice(0, after).map((n) => `demo-web_a-${n} running holdfast-build/web:1`),
    );
    t.notMatch(web(world).join('\n'), /demo-web_a-\d exited/);
    t.strictSame(
      [1, 2].map((number) => named(world, `demo-web_a-${number}`).id),
      kept,
    );
    t.notMatch(commands(world, since).join('\n'), MIGRATE.join(' '));
  }
});

t.test('a release that a rollback brought back is never migrated to', async (t) => {
  const world = await applied();
  await world.apply(platform({ web: '2' }));
  world.host.on(MIGRATE, () => ({ exitCode: 1, stderr: 'knows nothing of revision 2' }));
  await t.rejects(world.apply(platform({ webLevel: 'debug' })), {
    code: 'health/migration-failed',
  });
  await world.apply(platform({ webLevel: 'debug', rolledBack: true }));
  t.match(web(world), [/a-1 running .*:1$/, /b-1 exited/]);
});

t.test(
  'a replica that is taken away is drained first; a new one waits for its health',
  async (t) => {
    const world = await applied({ webReplicas: 2 });
    const before = world.host.effects.transcript.length;
    await world.apply(platform({ webReplicas: 1 }));
    const [draining, up] = [/^run flock/, / up .* web_a$/].map((pattern) =>
      commands(world, before).findIndex((line) => pattern.test(line)),
    );
    t.ok((draining ?? -1) >= 0 && (draining ?? 0) < (up ?? 0), 'listed as draining before it goes');
    t.strictSame(await serving(world), ['demo-web_a-1 up']);
    await world.apply(platform({ webReplicas: 3 }));
    t.strictSame(await serving(world), ['demo-web_a-1 up', 'demo-web_a-2 up', 'demo-web_a-3 up']);
  },
);

t.test('a release that a killed deploy left running is stopped', async (t) => {
  const world = await applied();
  await world.apply(platform({ web: '2' }));
  world.engine.start(named(world, 'demo-web_a-1').id);
  const { plan } = await world.apply(platform({ web: '2' }));
  t.strictSame(
    plan.operations.map(({ id }) => id),
    ['retire-release:web'],
  );
  t.match(web(world), [/a-1 exited/, /b-1 running/]);

  world.endingImages.add('holdfast-build/web:1');
  world.engine.start(named(world, 'demo-web_a-1').id);
  t.match(web(world), [/a-1 restarting/, /b-1 running/]);
  await world.apply(platform({ web: '2' }));
  t.match(web(world), [/a-1 exited/, /b-1 running/], 'also one that keeps ending');
});

t.test(
  'services of which there is nothing yet start together, and a sick one holds up none',
  async (t) => {
    const more = ['mail', 'news', 'shop'];
    const world = new World();
    world.sickImages.add('holdfast-build/mail:1');
    await t.rejects(world.apply(platform({ more })), {
      code: 'health/not-healthy',
      what: /^mail /,
    });
    const ups = world.host.effects.transcript.filter((line) => / up .* mail_a/.test(line));
    t.match(ups, [/ mail_a news_a shop_a$/], 'one command');
    const { services } = await readEdgeState({ host: world.host, paths: PATHS });
    t.match(services, { news: { slot: 'a' }, shop: { slot: 'a' } });
    t.notOk(services['mail'], 'the sick one gets no requests');
    world.sickImages.clear();
    world.engine.behave('mail', {});
    world.engine.start(named(world, 'demo-mail_a-1').id);
    await world.apply(platform({ more }));
    const { result } = await world.apply(platform({ more }));
    t.equal(result, 'unchanged');
    const after = await readEdgeState({ host: world.host, paths: PATHS });
    t.match(after.services, { mail: { slot: 'a' }, web: { slot: 'a' } });
  },
);

/** As a scale-down leaves it that is killed while its replica drains. */
async function killedWhileDraining(world: World): Promise<void> {
  await updateEdgeState(world.context, (state) =>
    withVerdict(state, 'demo-web_a-3', { state: 'draining', reason: 'fewer replicas are wanted' }),
  );
}

t.test('a replica that a killed scale-down left draining serves again', async (t) => {
  const world = await applied({ webReplicas: 3 });
  await killedWhileDraining(world);
  const { plan } = await world.apply(platform({ webReplicas: 3 }));
  t.match(plan.operations, [{ services: [{ service: 'web', change: 'start' }] }]);
  t.match(await serving(world), [/1 up/, /2 up/, 'demo-web_a-3 up']);
  t.equal((await world.apply(platform({ webReplicas: 3 }))).result, 'unchanged');
});

t.test('a scale-down that fails leaves as many serving as before', async (t) => {
  const world = await applied({ webReplicas: 3 });
  let isRefused = false;
  const answer = world.edgeStatus.bind(world);
  // The engine fails right after the replica was set to draining.
  world.edgeStatus = () => {
    if (!isRefused) world.engine.images.delete('holdfast-build/web:1');
    isRefused = true;
    return answer();
  };
  const image = world.engine.findImage('holdfast-build/web:1');
  const restore = world.events.push.bind(world.events);
  world.events.push = (...events) => {
    const hasFailed = events.some((event) => event.kind === 'end' && event.result === 'failed');
    if (hasFailed && image !== undefined) world.engine.images.set('holdfast-build/web:1', image);
    return restore(...events);
  };
  await t.rejects(world.apply(platform({ webReplicas: 2 })), {
    code: 'health/not-started',
    why: /rolled back: .*web brought back as before/,
  });
  t.ok(isRefused);
  t.match(await serving(world), [/1 up/, /2 up/, /3 up/]);
  t.equal((await world.apply(platform({ webReplicas: 3 }))).result, 'unchanged');
});

t.test('a scale-up whose replica is sick leaves nothing of it, each time', async (t) => {
  const world = await applied({ webReplicas: 2 });
  world.sickImages.add('holdfast-build/web:1');
  for (const attempt of ['first', 'second']) {
    await t.rejects(world.apply(platform({ webReplicas: 3 })), { code: 'health/not-healthy' });
    t.strictSame(await serving(world), ['demo-web_a-1 up', 'demo-web_a-2 up'], attempt);
    t.equal(web(world).length, 2, attempt);
  }
  t.equal((await world.apply(platform({ webReplicas: 2 }))).result, 'unchanged');
});

t.test('a replica of a killed scale-up has to be healthy before it counts', async (t) => {
  const world = await applied({ webReplicas: 2 });
  const status = world.engine.waitHealthy.bind(world.engine);
  world.engine.waitHealthy = async () => {
    world.host.effects.crashAt({ effect: 1, when: 'before' });
    await world.host.write('/killed', '', { mode: 0o600, uid: 0, gid: 0 });
  };
  await t.rejects(world.apply(platform({ webReplicas: 3 })), { name: 'SimulatedKill' });
  world.host.effects.revive();
  world.engine.waitHealthy = status;
  t.equal((await serving(world)).length, 2, 'nginx was not told of it');
  const sick = named(world, 'demo-web_a-3');
  world.sickImages.add('holdfast-build/web:1');
  world.engine.start(sick.id);
  await t.rejects(world.apply(platform({ webReplicas: 3 })), { code: 'health/not-healthy' });
  world.sickImages.clear();
  world.engine.behave('web', {});
  t.equal(web(world).length, 2, 'and is taken away when it is not');
  await world.apply(platform({ webReplicas: 3 }));
  t.match(await serving(world), [/1 up/, /2 up/, /3 up/]);
});

/** Calls `then` at each pause while the second release of web serves. */
function whileNewServes(world: World, then: () => void): void {
  const pause = world.clock.pause.bind(world.clock);
  world.clock.pause = async (seconds) => {
    const { services } = await readEdgeState({ host: world.host, paths: PATHS });
    if (services['web']?.slot === 'b') then();
    await pause(seconds);
  };
}

t.test('a death is noticed while the release of another service is on its way', async (t) => {
  const more = ['zeta'];
  const before: PlatformOptions = { more };
  const world = await applied(before);
  let servedAgain: string | undefined;
  const waitHealthy = world.engine.waitHealthy.bind(world.engine);
  world.engine.waitHealthy = async (ids) => {
    const [waited] = world.engine.all().filter(({ id }) => ids.includes(id));
    if (waited?.name === 'demo-zeta_b-1' && servedAgain === undefined) {
      world.engine.stop(named(world, 'demo-web_b-1').id);
      for (let turn = 0; turn < 2_000 && servedAgain === undefined; turn += 1) {
        await new Promise((resolve) => setImmediate(resolve));
        const [first = ''] = await serving(world);
        if (first.includes('web_a')) servedAgain = first;
      }
    }
    return waitHealthy(ids);
  };
  await t.rejects(world.apply(platform({ more, web: '2', moreImages: { zeta: '2' } })), {
    code: 'health/release-died',
    what: /^web died/,
    why: /rolled back/,
  });
  t.equal(servedAgain, 'demo-web_a-1 up', 'before the other one was done');
  t.match(web(world), [/a-1 running .*:1$/, /b-1 exited/]);
  t.equal((await world.apply(platform(before))).result, 'unchanged');
});

t.test('what has to serve again is not stopped meanwhile', async (t) => {
  const more = ['zeta'];
  const world = await applied({ more });
  const status = world.edgeStatus.bind(world);
  // Somebody is still being answered by the old one: it is not stopped yet.
  world.edgeStatus = () => ({
    ...status(),
    inFlight: { 'demo-web_a-1': { requests: 1, webSockets: 0 } },
  });
  whileNewServes(world, () => {
    const fresh = named(world, 'demo-web_b-1');
    if (fresh.status === 'running') world.engine.stop(fresh.id);
  });
  const { startedAt } = named(world, 'demo-web_a-1');
  await t.rejects(world.apply(platform({ more, web: '2', moreImages: { zeta: '2' } })), {
    code: 'health/release-died',
  });
  t.match(web(world), [/a-1 running/, /b-1 exited/]);
  t.equal(named(world, 'demo-web_a-1').startedAt, startedAt, 'it never ended');
});

t.test('a watch that a long start of another service outlasts still looks', async (t) => {
  const more = ['zeta'];
  const world = await applied({ more });
  const waitHealthy = world.engine.waitHealthy.bind(world.engine);
  world.engine.waitHealthy = async (ids) => {
    const [waited] = world.engine.all().filter(({ id }) => ids.includes(id));
    if (waited?.name === 'demo-zeta_a-1') {
      world.engine.stop(named(world, 'demo-web_b-1').id);
      await world.clock.pause(60);
    }
    return waitHealthy(ids);
  };
  world.engine.stop(named(world, 'demo-zeta_a-1').id);
  await t.rejects(world.apply(platform({ more, web: '2' })), { code: 'health/release-died' });
  t.match(web(world), [/a-1 running/, /b-1 exited/]);
});

const CHECK = {
  service: 'web',
  port: 3000,
  path: '/health',
  intervalSeconds: 10,
  timeoutSeconds: 5,
  healthy: 2,
  unhealthy: 3,
} as const;

t.test('a release that answers badly after it took over gives way to the one before', async (t) => {
  const world = await applied({ webCheck: CHECK });
  let asked = 0;
  whileNewServes(world, () => {
    world.httpStatus = 500;
    asked += 1;
  });
  const before = world.clock.elapsed();
  world.clock.onPause = () => {
    if (named(world, 'demo-web_b-1').status !== 'running') world.httpStatus = 200;
  };
  await t.rejects(world.apply(platform({ web: '2', webCheck: CHECK })), {
    code: 'health/release-died',
    what: /^web stopped answering within 5 s/,
    why: /failed 3 checks in a row: GET \/health on port 3000 answered 500/,
  });
  t.ok(asked > 0);
  t.ok(world.clock.elapsed() - before < 120_000);
  t.match(web(world), [/a-1 running/, /b-1 exited/]);
});

t.test(
  'one that begins to fail right before its watch ends is asked until that is clear',
  async (t) => {
    const world = await applied({ webCheck: CHECK });
    let switchedAt: number | undefined;
    whileNewServes(world, () => {
      switchedAt ??= world.clock.elapsed();
      if (world.clock.elapsed() - switchedAt >= 3_000) world.httpStatus = 500;
    });
    world.clock.onPause = () => {
      if (named(world, 'demo-web_b-1').status !== 'running') world.httpStatus = 200;
    };
    await t.rejects(world.apply(platform({ web: '2', webCheck: CHECK })), {
      code: 'health/release-died',
      why: /failed 3 checks in a row/,
    });
    t.match(web(world), [/a-1 running/, /b-1 exited/]);
  },
);

/** The second release of web is the only one that knows the next health path. */
function knowOwnPath(world: World): void {
  world.httpStatusOf = (url) => {
    const isNewUp = web(world).some((line) => line.startsWith('demo-web_b-1 running'));
    return isNewUp || url.endsWith(CHECK.path) ? 200 : 404;
  };
}

const NEXT_CHECK = { ...CHECK, path: '/healthz' };

function warnings({ events }: World): string[] {
  return events.flatMap((event) => (event.kind === 'warning' ? [event.text] : []));
}

t.test('what ran all the time serves again at once, and is asked afterwards', async (t) => {
  for (const isWell of [true, false]) {
    const world = await applied({ webCheck: CHECK });
    knowOwnPath(world);
    let diedAt = Number.NaN;
    let backAt = Number.NaN;
    const status = world.edgeStatus.bind(world);
    world.edgeStatus = () => {
      const answer = status();
      const [name] = Object.keys(answer.services['web'] ?? {});
      if (name === 'demo-web_b-1' && Number.isNaN(diedAt)) {
        diedAt = world.clock.elapsed();
        world.engine.stop(named(world, name).id);
        if (!isWell) world.httpStatusOf = () => 500;
      }
      if (name === 'demo-web_a-1' && Number.isNaN(backAt)) backAt = world.clock.elapsed();
      return answer;
    };
    await t.rejects(world.apply(platform({ web: '2', webCheck: NEXT_CHECK })), {
      code: 'health/release-died',
    });
    t.ok(backAt - diedAt < 5_000, `${backAt - diedAt} ms`);
    t.match(web(world), [/a-1 running/, /b-1 exited/]);
    t.strictSame(
      warnings(world),
      isWell ? [] : ['demo-web_a-1 does not answer as it should: it serves all the same'],
    );
  }
});

t.test('what has to start again is waited for as the apply before asked it', async (t) => {
  const before: PlatformOptions = { more: ['zeta'], webCheck: CHECK };
  const world = await applied(before);
  knowOwnPath(world);
  const waitHealthy = world.engine.waitHealthy.bind(world.engine);
  world.engine.waitHealthy = async (ids) => {
    const [waited] = world.engine.all().filter(({ id }) => ids.includes(id));
    if (waited?.name === 'demo-zeta_b-1') {
      t.equal(named(world, 'demo-web_a-1').status, 'exited');
      world.engine.stop(named(world, 'demo-web_b-1').id);
    }
    return waitHealthy(ids);
  };
  const began = world.clock.elapsed();
  const next = { ...before, web: '2', webCheck: NEXT_CHECK, moreImages: { zeta: '2' } };
  await t.rejects(world.apply(platform(next)), { code: 'health/release-died' });
  t.match(web(world), [/a-1 running/, /b-1 exited/]);
  t.ok(world.clock.elapsed() - began < 30_000, `${world.clock.elapsed() - began} ms`);
  t.strictSame(warnings(world), []);
});

t.test('where some of it runs, that serves while the rest starts', async (t) => {
  const before: PlatformOptions = { webReplicas: 2, webCheck: CHECK };
  const world = await applied(before);
  const seen: string[] = [];
  const status = world.edgeStatus.bind(world);
  world.edgeStatus = () => {
    const answer = status();
    const [name] = Object.keys(answer.services['web'] ?? {});
    if (name === 'demo-web_b-1' && named(world, name).status === 'running') {
      world.engine.stop(named(world, 'demo-web_a-2').id);
      world.engine.stop(named(world, name).id);
    }
    if (name === 'demo-web_a-1') seen.push(named(world, 'demo-web_a-2').status);
    return answer;
  };
  await t.rejects(world.apply(platform({ ...before, web: '2' })), { code: 'health/release-died' });
  t.equal(seen[0], 'exited');
  t.match(web(world), [/a-1 running/, /a-2 running/, /b-1 exited/, /b-2 exited/]);
});

t.test('one bad answer of a release that took over is no reason to go back', async (t) => {
  const world = await applied({ webCheck: CHECK });
  let isAnswering = false;
  whileNewServes(world, () => {
    isAnswering = true;
  });
  const answers: number[] = [];
  Object.defineProperty(world, 'httpStatus', {
    get: () => {
      const status = isAnswering && !answers.includes(500) ? 500 : 200;
      answers.push(status);
      return status;
    },
  });
  await world.apply(platform({ web: '2', webCheck: CHECK }));
  t.match(answers.slice(answers.indexOf(500)), [500, 200, 200]);
  t.match(web(world), [/a-1 exited/, /b-1 running/]);
});

t.test('a clock that is set meanwhile neither ends nor prolongs what is waited for', async (t) => {
  for (const seconds of [86_400, -86_400]) {
    const world = await applied();
    let pauses = 0;
    world.clock.onPause = () => {
      pauses += 1;
      world.clock.set(seconds);
    };
    const status = world.edgeStatus.bind(world);
    let looks = 0;
    world.edgeStatus = () => {
      looks += 1;
      const { services, ...rest } = status();
      const stale = { web: { 'demo-web_a-1': { address: '', state: 'up' as const } } };
      return { ...rest, services: looks < 5 ? stale : services };
    };
    await world.apply(platform({ web: '2' }));
    t.match(web(world), [/a-1 exited/, /b-1 running/]);
    t.ok(pauses > 9 && pauses < 60, `${pauses} pauses: the whole watch, and no more`);
  }
});

/** nginx goes on with two replicas of web for so many looks from now on. */
function slowToFollow(world: World, looks: number): { readonly wasEarly: () => boolean } {
  const status = world.edgeStatus.bind(world);
  const { services } = status();
  let left = looks;
  let wasEarly = false;
  world.edgeStatus = () => {
    left -= 1;
    if (left < 0) return status();
    wasEarly ||= !web(world).some((line) => line.startsWith('demo-web_a-2 running'));
    return { ...status(), services };
  };
  return { wasEarly: () => wasEarly };
}

t.test('a replica that is not wanted any more stays until nginx has followed', async (t) => {
  const world = await applied({ webReplicas: 2 });
  const { wasEarly } = slowToFollow(world, 5);
  await world.apply(platform({ webReplicas: 1 }));
  t.notOk(wasEarly());
  t.match(web(world), [/a-1 running/]);
});

t.test('an nginx that does not follow is waited for half a minute, and told', async (t) => {
  const world = await applied({ webReplicas: 2 });
  slowToFollow(world, 310);
  await world.apply(platform({ webReplicas: 1 }));
  t.match(
    world.events.filter(({ kind }) => kind === 'warning'),
    [{ code: 'rollout/cut-off', text: /nginx goes on sending requests to demo-web_a-2/ }],
  );
});
