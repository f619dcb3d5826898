import t from 'tap';
import { AppError } from '../../installer/errors.ts';
import type { HttpCheck } from '../../installer/model/contribution.ts';
import type { ReplicaResult } from '../../installer/model/replicas-result.ts';
import { type PlatformOptions, platform } from './platform.ts';
import { PATHS, World } from './world.ts';

const CHECK: HttpCheck = {
  ...{ service: 'web', port: 3000, path: '/health' },
  ...{ intervalSeconds: 5, timeoutSeconds: 2, healthy: 1, unhealthy: 3 },
};
const WEB_DOOR = { service: 'web', host: 'a.example.com', path: '/health' };
const LONG_AGO = '2020-01-01T00:00:00.000Z';

const checked = (options: PlatformOptions = {}) => {
  const render = platform(options);
  return (observed: Parameters<typeof render>[0]) => ({
    ...render(observed),
    httpChecks: [CHECK],
  });
};

/** A server on which the agent has found the one replica of `web` as it says. */
async function found(replica: Partial<ReplicaResult>) {
  const world = new World();
  await world.apply(checked());
  const id = world.containerId('web') ?? '';
  const [container = ''] = world.engine.all().flatMap((one) => (one.id === id ? [one.name] : []));
  const seen = { id, container, healthy: false, since: LONG_AGO, why: '500', ...replica };
  const services = [{ service: 'web', replicas: [seen], restarts: 0, takenOut: 0 }];
  const content = JSON.stringify({ version: 1, services });
  await world.host.write(`${PATHS.agent}/replicas.json`, content, { mode: 0o600, uid: 0, gid: 0 });
  world.httpStatus = 500;
  return { world, container };
}

t.test('an apply does not call a service well that answers nobody', async (t) => {
  const { world, container } = await found({});
  t.match(await world.apply(checked()), { result: 'unchanged', unhealthy: [container] });
  const changed = await world.apply(checked({ nginxConf: 'worker 3;\n' }));
  t.match(changed, { result: 'applied', unhealthy: [container] });
  world.httpStatus = 200;
  t.strictSame((await world.apply(checked())).unhealthy, [], 'it has come back since');
});

t.test('nobody is asked of whom the agent thinks well', async (t) => {
  const { world } = await found({ healthy: true, why: '' });
  t.strictSame((await world.apply(checked())).unhealthy, []);
});

t.test('who was sick before, and was left alone, does not hold up others', async (t) => {
  const verdict = async (replica: Partial<ReplicaResult>, options: PlatformOptions) => {
    const { world } = await found(replica);
    let isExcused: boolean | undefined;
    const applied = world.apply(checked(options), {
      verify: async (_desired, isOld) => {
        world.httpStatus = 500;
        isExcused = await isOld(WEB_DOOR, { why: 'it answered 500', isTaken: true });
      },
    });
    world.httpStatus = options.web === undefined ? 500 : 200;
    await applied.catch((error: unknown) => {
      if (!(error instanceof AppError)) throw error;
    });
    return { isExcused, warned: world.events.some(({ kind }) => kind === 'warning') };
  };
  const others = { nginxConf: 'worker 3;\n' };
  t.strictSame(await verdict({}, others), { isExcused: true, warned: true });
  const justNow = { since: '2999-01-01T00:00:00.000Z' };
  t.strictSame(await verdict(justNow, others), { isExcused: false, warned: false });
  t.strictSame(await verdict({ healthy: true }, others), { isExcused: false, warned: false });
  t.match(await verdict({}, { web: '2' }), { isExcused: false });
});

t.test('what had a bad answer before, and was left alone, does not hold up others', async (t) => {
  const other = { host: 'b.example.com', path: '/' };
  const shop = { service: 'shop', host: 'b.example.com', path: '/health' };
  /** Which are told to be older than an apply, of those that fail in it. */
  const excused = async (
    options: PlatformOptions,
    { before = [WEB_DOOR, other], fresh = [shop], isTaken = true } = {},
  ) => {
    const world = new World();
    const render = platform();
    await world.apply((observed) => ({ ...render(observed), frontDoor: [WEB_DOOR, other] }));
    const next = platform(options);
    const all = [WEB_DOOR, other, ...fresh];
    const told: string[] = [];
    await world.apply((observed) => ({ ...next(observed), frontDoor: all }), {
      badAnswers: async (checks) => {
        t.match(world.text(`${PATHS.stack}/nginx/nginx.conf`), 'worker 1', 'nothing is changed');
        return [...before, shop].filter((check) =>
          checks.some(({ host, path }) => host === check.host && path === check.path),
        );
      },
      verify: async (_desired, isOld) => {
        for (const check of all) {
          if (await isOld(check, { why: 'it answered 502', isTaken })) told.push(check.path);
        }
      },
    });
    const warnings = world.events.filter(({ kind }) => kind === 'warning');
    t.equal(warnings.length, told.length);
    return told;
  };
  const conf = { nginxConf: 'worker 3;\n' };
  t.strictSame(await excused(conf), ['/health', '/'], 'but nothing that is new');
  t.strictSame(await excused(conf, { before: [other] }), ['/'], 'nor what was well');
  t.strictSame(await excused({ ...conf, web: '2' }), ['/'], 'nor what is changed');
  t.strictSame(await excused(conf, { isTaken: false }), [], 'nor where nginx takes nothing');
});
