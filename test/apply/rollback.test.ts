import t from 'tap';
import { AppError } from '../../installer/errors.ts';
import { CommandError } from '../../installer/host/command-error.ts';
import { LABELS } from '../../installer/model/labels.ts';
import { desiredFile } from '../support/desired.ts';
import { platform } from './platform.ts';
import { kinds, MIGRATE, PATHS, World } from './world.ts';

const NGINX_CONF = `${PATHS.stack}/nginx/nginx.conf`;
const NEXT = { web: '2', nginxConf: 'worker 2;\n', page: 'new page' };

async function applied(): Promise<World> {
  const world = new World();
  await world.apply(platform());
  return world;
}

function imageOf(world: World, service: string): string | undefined {
  return world.engine.all().find((one) => one.service === service && one.status === 'running')
    ?.imageReference;
}

t.test(
  'a release that does not become healthy is replaced by the previous one, and the message says so',
  async (t) => {
    const world = await applied();
    world.sickImages.add('holdfast-build/web:2');
    const before = world.text(`${PATHS.stack}/compose.yaml`);
    await t.rejects(world.apply(platform(NEXT)), {
      code: 'health/not-healthy',
      what: 'web did not become healthy',
      why: /demo-web_b-1:\ncannot reach db\nrolled back: \d+ files put back\. .*what a migration has changed is not undone/,
      hint: /holdfast apply.*holdfast logs web/,
    });
    t.equal(imageOf(world, 'web'), 'holdfast-build/web:1');
    t.equal(world.text(`${PATHS.stack}/compose.yaml`), before);
    t.equal(world.text(NGINX_CONF), 'worker 1;\n');
    t.equal(world.text(`${PATHS.stack}/site/pages/page.html`), undefined);
  },
);

t.test(
  'after a rollback the old config is in force without drift, and the new one can be tried again',
  async (t) => {
    const world = await applied();
    world.sickImages.add('holdfast-build/web:2');
    await t.rejects(world.apply(platform(NEXT)));
    const old = await world.apply(platform());
    t.strictSame(old.plan.drift, []);
    t.strictSame(kinds(old.plan), []);
    world.sickImages.clear();
    world.engine.behave('web', {});
    await world.apply(platform(NEXT));
    t.equal(imageOf(world, 'web'), 'holdfast-build/web:2');
    t.equal(world.text(NGINX_CONF), 'worker 2;\n');
  },
);

t.test('a service that is new in a failing apply is removed again, its volume stays', async (t) => {
  const world = new World();
  await world.apply(platform({ withCache: false }));
  world.engine.behave('cache', { exits: 1, logs: 'no permission' });
  await t.rejects(world.apply(platform()), {
    code: 'health/not-healthy',
    why: /demo-cache-1:\nno permission\nrolled back: .*cache removed again/,
  });
  t.equal(world.containerId('cache'), undefined);
  t.ok(world.engine.volumeLabels.has('demo_cache'));
});

t.test('a first apply that fails has nothing to go back to, and says so', async (t) => {
  const world = new World();
  world.engine.behave('postgres', { health: 'unhealthy', logs: 'disk?' });
  await t.rejects(world.apply(platform()), {
    code: 'health/not-healthy',
    why: /nothing was rolled back: no apply was complete before this one/,
  });
  world.engine.behave('postgres', {});
  t.equal((await world.apply(platform())).result, 'applied');
});

t.test('a file that its service refuses is put back before it is loaded', async (t) => {
  const world = await applied();
  world.engine.onExec(['nginx', '-t'], () => {
    const bad = world.text(NGINX_CONF) === 'worker 2;\n';
    return bad ? { exitCode: 1, stderr: 'nginx: [emerg] worker 2' } : {};
  });
  await t.rejects(world.apply(platform({ nginxConf: 'worker 2;\n' })), {
    code: 'health/reload-refused',
    why: /\[emerg\] worker 2\nrolled back: 1 files put back/,
  });
  t.equal(world.text(NGINX_CONF), 'worker 1;\n');
  t.equal((await world.apply(platform())).plan.operations.length, 0);
});

t.test('what failed is to be given again, whatever command it was', async (t) => {
  const failing: ((world: World) => unknown)[] = [
    ({ sickImages }) => sickImages.add('holdfast-build/web:2'),
    ({ host }) => host.on(MIGRATE, () => ({ exitCode: 1, stderr: 'column exists' })),
    (world) => {
      const status = world.edgeStatus.bind(world);
      world.edgeStatus = () => {
        const fresh = world.engine.all().find(({ name }) => name === 'demo-web_b-1');
        if (fresh?.status === 'running') world.engine.stop(fresh.id);
        return status();
      };
    },
  ];
  for (const [command, given] of [
    ['holdfast deploy web acme/web:2', 'holdfast deploy web acme/web:2'],
    ['holdfast scale web 3 (cpu 90 % (of 80))', 'holdfast scale web 3'],
  ] as const) {
    for (const breakDown of failing) {
      const world = await applied();
      breakDown(world);
      await t.rejects(world.apply(platform({ web: '2' }), { command }), {
        code: /^health\//,
        hint: new RegExp(`and run \`${given}\` again`),
      });
    }
  }
});

t.test('a migration that fails leaves the old release running', async (t) => {
  const world = await applied();
  const id = world.containerId('web');
  world.host.on(MIGRATE, () => ({ exitCode: 1, stderr: 'column exists' }));
  await t.rejects(world.apply(platform(NEXT)), {
    code: 'health/migration-failed',
    why: /column exists/,
  });
  t.equal(world.containerId('web'), id);
  t.equal(world.engine.all().find((one) => one.id === id)?.status, 'running');
  world.host.on(MIGRATE, () => ({ exitCode: 137 }));
  await t.rejects(world.apply(platform(NEXT)), {
    code: 'health/migration-failed',
    why: /^it printed nothing and ended with exit code 137\n/,
  });
  const compose = world.text(`${PATHS.stack}/compose.yaml`);
  world.host.on(MIGRATE, () => {
    throw new CommandError({
      reason: 'timeout',
      argv: ['docker', 'compose', 'run'],
      host: 'localhost',
      timeoutSeconds: 3600,
      stdout: 'rewriting orders',
    });
  });
  await t.rejects(world.apply(platform(NEXT)), {
    code: 'health/migration-failed',
    why: /did not end within 3600 s[\s\S]*rewriting orders\nrolled back/,
  });
  t.equal(world.text(`${PATHS.stack}/compose.yaml`), compose, 'the files name what serves');
});

t.test(
  'a release that the engine cannot start is rolled back with what compose said',
  async (t) => {
    const world = await applied();
    world.host.on(['docker', 'buildx', 'build'], () => ({}));
    await t.rejects(world.apply(platform(NEXT)), {
      code: 'health/not-started',
      why: /No such image: holdfast-build\/web:2/,
    });
    t.equal(imageOf(world, 'web'), 'holdfast-build/web:1');
  },
);

t.test('a front door that does not answer brings the previous generation back', async (t) => {
  const world = await applied();
  const verify = async () => {
    throw new AppError({ code: 'health/front-door', what: 'https: 502', hint: 'holdfast status' });
  };
  await t.rejects(world.apply(platform(NEXT), { verify }), {
    code: 'health/front-door',
    why: /web brought back/,
  });
  t.equal(imageOf(world, 'web'), 'holdfast-build/web:1');
});

t.test('what the way back needs is there until the front door has answered', async (t) => {
  const after = platform({ nginxConf: 'worker 2;\n', withCache: false });
  const world = new World();
  const token = `${PATHS.secretMounts}/web/TOKEN`;
  const site = `${PATHS.sites}/shop/releases/r1/index.html`;
  const left = () => ({
    token: world.text(token) !== undefined,
    page: world.text(`${PATHS.stack}/site/pages/page.html`) !== undefined,
    site: world.text(site) !== undefined,
    cache: world.containerId('cache') !== undefined,
  });
  await world.apply(platform({ token: 'of web', page: 'shop' }));
  await world.host.write(site, 'shop', { mode: 0o644, uid: 0, gid: 0 });
  const found = () => (world.text(site) === undefined ? '' : 'shop/releases/r1\x001\x00\x00');
  world.host.on(['find', PATHS.sites], () => ({ stdout: found() }), { looks: true });
  const cache = world.containerId('cache');
  const verify = async () => {
    t.strictSame(left(), { token: true, page: false, site: true, cache: true });
    throw new AppError({ code: 'health/front-door', what: 'https: 502', hint: 'holdfast status' });
  };
  await t.rejects(world.apply(after, { verify }), { code: 'health/front-door' });
  t.strictSame(left(), { token: true, page: true, site: true, cache: true });
  t.equal(world.containerId('cache'), cache);
  await world.apply(after);
  t.strictSame(left(), { token: false, page: false, site: false, cache: false });
});

t.test(
  'a kill between the end of an apply and what goes afterwards leaves no way back',
  async (t) => {
    const world = new World();
    await world.apply(platform({ token: 'of web' }));
    const after = platform({ withCache: false });
    const { run } = world.host;
    world.host.run = async (command) => {
      if (command.argv.includes('stop')) throw new Error('killed');
      return run.call(world.host, command);
    };
    await t.rejects(world.apply(after), { message: 'killed' });
    world.host.run = run;
    const verify = async () => {
      t.fail('what is in force is not asked for again');
    };
    const { plan } = await world.apply(after, { verify });
    const token = `remove-file:${PATHS.secretMounts}/web/TOKEN`;
    t.strictSame(kinds(plan), ['remove-containers:cache', token]);
    t.equal((await world.apply(after)).result, 'unchanged');
  },
);

t.test('a service that takes the place of another one goes when nginx leads back', async (t) => {
  const world = new World();
  await world.apply(platform({ more: ['shop'] }));
  const shop = world.containerId('shop');
  const status = world.edgeStatus.bind(world);
  let looks = 0;
  world.edgeStatus = () => {
    looks += 1;
    const inFlight = looks < 4 ? { 'demo-store_a-1': { requests: 1, webSockets: 0 } } : {};
    return { ...status(), inFlight };
  };
  const verify = async () => {
    looks = 0;
    world.host.effects.transcript.push('front door');
    throw new AppError({ code: 'health/front-door', what: 'https: 502', hint: 'holdfast status' });
  };
  const next = platform({ more: ['store'], nginxConf: 'worker 2;\n' });
  await t.rejects(world.apply(next, { verify }), {
    code: 'health/front-door',
    why: /store removed/,
  });
  t.equal(world.containerId('shop'), shop);
  t.equal(world.containerId('store'), undefined);
  const { transcript } = world.host.effects;
  const last = (line: RegExp) => transcript.findLastIndex((one) => line.test(one));
  const asked = last(/^front door/);
  const reloaded = last(/nginx -s reload/);
  const stopped = last(/container stop/);
  t.ok(asked < reloaded && reloaded < stopped, `${asked} ${reloaded} ${stopped}`);
  t.equal(transcript.filter((one) => /container stop/.test(one)).length, 1);
  t.equal(looks, 4, 'it answers what it has first');
  const again = await world.apply(platform({ more: ['shop'] }));
  t.strictSame(kinds(again.plan), []);
});

t.test('networks that a failed apply changed are as before again', async (t) => {
  const attached = (world: World) =>
    world.engine.all().map(({ service, networks }) => `${service} ${networks.join(' ')}`);
  const verify = async () => {
    throw new AppError({ code: 'health/front-door', what: 'https: 502', hint: 'holdfast status' });
  };
  for (const before of [true, false]) {
    const world = new World();
    await world.apply(platform({ dataNetwork: before }));
    const [postgres, was] = [world.containerId('postgres'), attached(world)];
    const next = platform({ dataNetwork: !before });
    await t.rejects(world.apply(next, { verify }), { code: 'health/front-door' });
    t.strictSame(attached(world), was);
    t.equal(world.engine.networkStates.has('demo_data-web'), before);
    t.equal(world.containerId('postgres'), postgres, 'the database keeps its container');
    t.strictSame(kinds((await world.apply(platform({ dataNetwork: before }))).plan), []);
  }
});

t.test(
  'what a service had loaded already is loaded anew after its file was put back',
  async (t) => {
    const world = await applied();
    let loaded: string | undefined;
    world.engine.onExec(['nginx', '-s', 'reload'], () => {
      loaded = world.text(NGINX_CONF);
      return {};
    });
    const verify = async () => {
      t.equal(loaded, 'worker 2;\n');
      throw new AppError({
        code: 'health/front-door',
        what: 'https: 502',
        hint: 'holdfast status',
      });
    };
    await t.rejects(world.apply(platform({ nginxConf: 'worker 2;\n' }), { verify }));
    t.equal(loaded, 'worker 1;\n');
  },
);

t.test('copies of secrets follow the store and are not put back', async (t) => {
  const world = await applied();
  const path = `${PATHS.secretMounts}/web/TOKEN`;
  const withToken =
    (text: string, web: string): ReturnType<typeof platform> =>
    (observed) => {
      const desired = platform({ web })(observed);
      const file = desiredFile(path, text, { secret: true, mode: 0o600 });
      return { ...desired, files: new Map([...desired.files, [path, file]]) };
    };
  await world.apply(withToken('old token', '1'));
  world.sickImages.add('holdfast-build/web:2');
  await t.rejects(world.apply(withToken('new token', '2')), { code: 'health/not-healthy' });
  t.equal(world.text(path), 'new token');
});

t.test('a release that a killed apply had started is not taken for good', async (t) => {
  const world = await applied();
  world.sickImages.add('holdfast-build/web:2');
  world.host.effects.revive();
  const lines = world.host.effects.transcript.length;
  const failing = new World();
  await failing.apply(platform());
  await failing.apply(platform({ web: '2' }));
  const wanted = failing.host.effects.transcript
    .slice(lines)
    .findIndex((line) => / up .* web_b$/.test(line));
  world.host.crashAt({ effect: wanted + 1, when: 'after' });
  await t.rejects(world.apply(platform({ web: '2' })), { name: 'SimulatedKill' });
  world.host.effects.revive();
  await t.rejects(world.apply(platform({ web: '2' })), {
    code: 'health/not-healthy',
    why: /demo-web_b-1:\ncannot reach db/,
  });
  t.equal(imageOf(world, 'web'), 'holdfast-build/web:1');
});

t.test('no secret stands in the message of a failure', async (t) => {
  const world = await applied();
  const password = world.text(`${PATHS.secrets}/DB_PASSWORD`) ?? '';
  world.engine.onExec(['psql'], () => ({ exitCode: 1, stderr: `near '${password}'` }));
  await t.rejects(world.apply(platform({ roles: 'web,api' })), {
    code: 'engine/provision-failed',
    why: "near '[redacted]'",
  });
  world.engine.onExec(['psql'], () => ({}));
  world.engine.behave('web', { health: 'unhealthy', logs: `connecting with ${password}` });
  await t.rejects(world.apply(platform({ web: '2', roles: 'web,api' })), {
    code: 'health/not-healthy',
    why: /connecting with \[redacted\]/,
  });
  t.notMatch(JSON.stringify(world.events) + world.text(PATHS.audit), password);
});

t.test('containers carry the spec of the generation that was brought back', async (t) => {
  const world = await applied();
  const spec = () =>
    world.engine.all().find(({ service, status }) => service === 'web' && status === 'running')
      ?.labels[LABELS.spec];
  const before = spec();
  world.sickImages.add('holdfast-build/web:2');
  await t.rejects(world.apply(platform(NEXT)));
  t.equal(spec(), before);
});
