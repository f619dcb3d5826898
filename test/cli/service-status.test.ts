import t from 'tap';
import { serviceStatus } from '../../installer/cli/service-status.ts';
import { commandTable } from '../../installer/cli/table.ts';
import { platform } from '../apply/platform.ts';
import { PATHS, World } from '../apply/world.ts';
import { runCommand } from '../support/cli.ts';

const FILE = { mode: 0o600, uid: 0, gid: 0 };

async function applied(replicas: number): Promise<World> {
  const world = new World();
  await world.apply(platform({ webReplicas: replicas, withCache: false }));
  await world.host.write(`${PATHS.stack}/agent/agent.json`, '{"project":"demo"}', FILE);
  return world;
}

function removed(world: World, service: string, count: number): void {
  const found = world.engine.all().filter((container) => container.service === service);
  for (const { id } of found.slice(0, count)) world.engine.remove(id);
}

async function counted(world: World): Promise<string[]> {
  const services = await serviceStatus(world.context, PATHS);
  return services.map(
    ({ service, healthy, replicas, state }) => `${service} ${healthy}/${replicas} ${state}`,
  );
}

t.test('a service whose containers are gone counts, and so does one replica', async (t) => {
  const world = await applied(2);
  t.strictSame(await counted(world), [
    'nginx 1/1 running',
    'postgres 1/1 running',
    'web 2/2 running',
  ]);
  removed(world, 'web', 1);
  removed(world, 'nginx', 1);
  t.strictSame(await counted(world), [
    'nginx 0/1 1 container is gone: holdfast apply',
    'postgres 1/1 running',
    'web 1/2 1 container is gone: holdfast apply',
  ]);
  removed(world, 'web', 2);
  t.match(await counted(world), { 2: 'web 0/2 2 containers are gone: holdfast apply' });
});

t.test('a release that was kept for the way back is not missed, nor counted', async (t) => {
  const world = await applied(2);
  await world.apply(platform({ webReplicas: 2, withCache: false, web: '2' }));
  t.match(await counted(world), { 2: 'web 2/2 running' });
});

t.test('status tells of an old backup, although its last run was well', async (t) => {
  const world = await applied(1);
  world.host.on(['df'], () => ({ stdout: 'Use% Avail\n 41% 1000000\n' }));
  const agent = { project: 'demo', certificates: [], jobs: [] };
  const job = { name: 'daily', source: { kind: 'redis' }, cron: '0 2 * * *' };
  const backup = { jobs: [job], objectives: {}, stores: [], recipients: [], encryption: 'none' };
  const lastSuccess = { id: 'x', finishedAt: '2026-11-18T02:00:00Z', bytes: 1, seconds: 1 };
  const result = { version: 1, job: 'daily', lastRun: { ok: true }, lastSuccess };
  await world.host.write(`${PATHS.stack}/agent/agent.json`, JSON.stringify(agent), FILE);
  await world.host.write(`${PATHS.stack}/agent/backup.json`, JSON.stringify(backup), FILE);
  await world.host.write(`${PATHS.agent}/results/daily.json`, JSON.stringify(result), FILE);
  const run = await runCommand(['status'], commandTable, { server: world.context });
  t.match(run, {
    exitCode: 11,
    stdout: /^✗ the last good backup of job daily is 3 days 10 h old/m,
  });
});

t.test('status says it as a problem', async (t) => {
  const world = await applied(2);
  removed(world, 'web', 2);
  world.host.on(['df'], () => ({ stdout: 'Use% Avail\n 41% 1000000\n' }));
  const agent = { project: 'demo', certificates: [] };
  const backup = { jobs: [], objectives: {}, stores: [], recipients: [], encryption: 'none' };
  await world.host.write(`${PATHS.stack}/agent/agent.json`, JSON.stringify(agent), FILE);
  await world.host.write(`${PATHS.stack}/agent/backup.json`, JSON.stringify(backup), FILE);
  const run = await runCommand(['status'], commandTable, { server: world.context });
  t.match(run, {
    exitCode: 11,
    stdout: /^✗ web: 0 of 2 healthy \(2 containers are gone: holdfast apply\)$/m,
  });
});

t.test('a compose file that somebody broke is told with its remedy', async (t) => {
  const world = await applied(1);
  await world.host.write(`${PATHS.stack}/compose.yaml`, '', FILE);
  await t.rejects(serviceStatus(world.context, PATHS), { code: 'drift/file-damaged' });
});
