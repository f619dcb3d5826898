import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import t from 'tap';
import { endDrill, runDrill } from '../../installer/backup/drill/drill.ts';
import { drillFolder } from '../../installer/backup/drill/remove-drill.ts';
import { runBackup } from '../../installer/backup/run-backup.ts';
import type { WatchedService } from '../../installer/model/agent-settings.ts';
import type { BackupJob, BackupSettings } from '../../installer/model/backup-settings.ts';
import { BackupStack } from '../support/backup-stack.ts';
import { generated } from '../support/component-input.ts';
import { dataStack } from './support/data-stack.ts';
import { docker, until } from './support/docker.ts';

/** A service that is well once it reaches its database and its queue, by the names that it was given. */
const PRODUCT = `
const { connect } = require('node:net');
const reach = (host, port) => new Promise((resolve) => {
  const socket = connect({ host, port, timeout: 3000 });
  const end = (is) => { socket.destroy(); resolve(is); };
  socket.once('connect', () => end(true)).once('error', () => end(false)).once('timeout', () => end(false));
});
const { DATABASE_HOST, DATABASE_PORT, REDIS_HOST, REDIS_PORT } = process.env;
require('node:http').createServer(async (request, response) => {
  const all = await Promise.all([reach(DATABASE_HOST, DATABASE_PORT), reach(REDIS_HOST, REDIS_PORT)]);
  response.writeHead(all.every(Boolean) ? 200 : 503).end(all.every(Boolean) ? 'in order' : 'not yet');
}).listen(3000);`;

/** Tries connections and names from inside a container. */
const LOOK_AROUND = `
const { connect } = require('node:net');
const { lookup } = require('node:dns/promises');
const [places, names] = JSON.parse(process.argv[1]);
const reach = ([host, port]) => new Promise((resolve) => {
  const socket = connect({ host, port, timeout: 4000 });
  const end = (is) => { socket.destroy(); resolve(is ? [host + ':' + port] : []); };
  socket.once('connect', () => end(true)).once('error', () => end(false)).once('timeout', () => end(false));
});
const find = async (name) => [name, await lookup(name).then(({ address }) => address, () => 'unknown')];
(async () => console.log(JSON.stringify({
  reached: (await Promise.all(places.map(reach))).flat(),
  found: Object.fromEntries(await Promise.all(names.map(find))),
})))();`;

const stack = await dataStack(
  t,
  `services:
  web:
    image: IMAGE
    command: ["node", "-e", ${JSON.stringify(PRODUCT)}]
    port: 3000
    health: { path: /health, expect: in order }
    volumes: [{ name: uploads, mount: /uploads, backup: true }]
    uses: [postgres, redis]
redis: { purpose: queue, persistence: aof }
postgres: { pitr: { enabled: false } }
`,
);
const { project, root } = stack;
const DRILL = `${project}-drill`;
const live = BackupStack.attach({ project, root, image: stack.images['postgres'] ?? '' });
t.teardown(() => live.engine.close());
const job = (name: string, source: BackupJob['source'], more: Partial<BackupJob> = {}) =>
  live.job({ name, source, ...more });
const settings: Partial<BackupSettings> = {
  redis: { container: `${project}-redis-1` },
  jobs: [
    job('daily', { kind: 'postgres', databases: ['web'] }),
    job('queues', { kind: 'redis' }),
    job('uploads', {
      ...{ kind: 'volume', name: 'uploads', volume: `${project}_uploads`, service: 'web' },
    }),
    job('base', { kind: 'postgres', databases: ['web'] }, { method: 'physical' }),
  ],
};
const context = live.context(settings);
t.teardown(async () => {
  await endDrill(context);
  // It has a profile, which `compose down` passes over.
  await docker('rm', '--force', `${project}-web-1`);
});
const services: WatchedService[] = [
  {
    name: 'web',
    check: { kind: 'http', port: 3000, path: '/health', expect: 'in order' },
    ...{ intervalSeconds: 1, timeoutSeconds: 10, healthy: 1, unhealthy: 3 },
    ...{ memoryBytes: 1, connections: 1 },
  },
];

/** Never well, so that a drill waits for it. */
const sick: WatchedService[] = services.map((service) => ({
  ...service,
  check: { kind: 'http', port: 3000, path: '/health', expect: 'something else' },
}));

/** What is on the engine of a drill. */
async function ofDrill(): Promise<string[]> {
  const label = ['--quiet', '--filter', `label=com.docker.compose.project=${DRILL}`];
  const kinds = [
    ['ps', '--all'],
    ['volume', 'ls'],
    ['network', 'ls'],
  ] as const;
  const found = await Promise.all(kinds.map((kind) => docker(...kind, ...label)));
  return found.flatMap((text) => text.split('\n')).filter((id) => id !== '');
}

/** Addresses by network, and the gateway of the first. */
async function addressesOf(container: string): Promise<{ own: string[]; gateways: string[] }> {
  const format = '{{range .NetworkSettings.Networks}}{{.IPAddress}} {{.Gateway}},{{end}}';
  const pairs = (await docker('inspect', '--format', format, container))
    .split(',')
    .map((pair) => pair.trim().split(' '));
  const all = (at: number) => pairs.flatMap((pair) => pair[at] || []);
  return { own: all(0), gateways: all(1) };
}

async function look(container: string, places: unknown, names: readonly string[]) {
  const asked = JSON.stringify([places, names]);
  return JSON.parse(await docker('exec', container, 'node', '-e', LOOK_AROUND, asked));
}

t.test('the product comes up on what the store has, beside the live one', async (t) => {
  await mkdir(live.paths.secrets, { recursive: true });
  const password = generated('REDIS_ADMIN_PASSWORD').reveal();
  await writeFile(join(live.paths.secrets, 'REDIS_ADMIN_PASSWORD'), password, { mode: 0o600 });
  await stack.up('postgres', 'redis');
  const roles = stack.desired.provisions.find(({ id }) => id === 'postgres:roles');
  const provisioned = await stack.provision(roles);
  t.equal(provisioned.code, 0, provisioned.stderr);
  // Asked from outside, it has no check that compose could wait for.
  const files = ['compose.yaml', 'compose.secrets.yaml'].flatMap((name) => [
    '--file',
    join(live.paths.stack, name),
  ]);
  await docker('compose', ...files, 'up', '--detach', '--pull', 'never', 'web');
  await live.sql('web', "CREATE TABLE note AS SELECT 'worth keeping' AS body");
  await docker('exec', `${project}-web-1`, 'sh', '-c', 'echo a file >/uploads/badge');
  for (const { name } of settings.jobs ?? []) await runBackup(context, name);
  await live.sql('web', "INSERT INTO note VALUES ('after the backup')");

  const report = await runDrill(context, { services, keep: true });
  t.comment(`healthy on recovered data after ${report.seconds.toFixed(1)} s`);
  t.match(report.data, [
    ...['redis', 'volume uploads'].map((what) => ({ what, from: /Z-/ })),
    { what: 'postgres', from: /Z-/ },
  ]);
  const running = await docker('inspect', '--format', '{{.Image}}', `${project}-web-1`);
  const web = report.services.find(({ service }) => service === 'web');
  t.match(web, { image: running.trim(), check: 'GET :3000/health' }, 'the image that runs');
  const psql = ['exec', '--user', 'postgres', `${DRILL}-postgres-1`, 'psql', '-XAt', '-d', 'web'];
  t.equal((await docker(...psql, '-c', 'SELECT body FROM note')).trim(), 'worth keeping');
  t.equal((await docker('exec', `${DRILL}-web-1`, 'cat', '/uploads/badge')).trim(), 'a file');
});

t.test('nothing of it reaches the live data, this machine or the world', async (t) => {
  const [database, queue] = await Promise.all(
    ['postgres', 'redis'].map((name) => addressesOf(`${project}-${name}-1`)),
  );
  const { gateways } = await addressesOf(`${DRILL}-web-1`);
  const data = [
    ...(database?.own ?? []).map((host) => [host, 5432]),
    ...(queue?.own ?? []).map((host) => [host, 6379]),
  ];
  // SSH, the front door, and an address of the world.
  const ports = [22, 80, 443];
  const outside = [...gateways, ...(database?.gateways ?? []), '1.1.1.1'].flatMap((host) =>
    ports.map((port) => [host, port]),
  );
  const names = ['postgres', 'redis', 'web', 'example.com'];
  const inside = await look(`${DRILL}-web-1`, [...data, ...outside], names);
  t.strictSame(inside.reached, []);
  const own = async (name: string) => (await addressesOf(`${DRILL}-${name}-1`)).own[0];
  t.strictSame(inside.found, {
    postgres: await own('postgres'),
    redis: await own('redis'),
    web: await own('web'),
    'example.com': 'unknown',
  });
  const reachable = (await look(`${project}-web-1`, data, [])).reached;
  t.ok(reachable.length >= 2, 'the same look from the live service finds both');
  const internal = await docker(
    'network',
    'inspect',
    '--format',
    '{{.Internal}}',
    `${DRILL}_drill`,
  );
  t.equal(internal.trim(), 'true');
});

t.test('kill -9 in the middle of it leaves what the next one removes', async (t) => {
  const kept = await ofDrill();
  const child = spawn(
    process.execPath,
    [
      new URL('../support/drill-child.ts', import.meta.url).pathname,
      ...[live.identity(), settings, sick].map((part) => JSON.stringify(part)),
    ],
    { stdio: 'inherit' },
  );
  const ended = once(child, 'exit');
  // Data in volumes, its network, and a server that runs on them; what was kept is gone.
  await until('a new Postgres of the drill', 300, async () => {
    if (child.exitCode !== null) throw new Error(`it ended with ${child.exitCode} before`);
    const name = ['--quiet', '--no-trunc', '--filter', `name=^${DRILL}-postgres-1$`];
    const id = (await docker('ps', ...name)).trim();
    return id !== '' && !kept.some((one) => id.startsWith(one));
  });
  child.kill('SIGKILL');
  await ended;
  const left = await ofDrill();
  t.ok(left.length >= 3, `${left.length} things are left`);
  t.ok(existsSync(drillFolder(context)));
});

t.test(
  'one that goes by the newest point in time, fails, says why, and leaves nothing',
  async (t) => {
    const pitr = { job: 'base', store: 'local', rpoSeconds: 60, windowSeconds: 86_400 };
    const folder = join(root, 'wal');
    const over = live.context({ ...settings, pitr: { ...pitr, folder, slot: 'none' } });
    // It answers 200: it has found the database that was rolled forward.
    await t.rejects(runDrill(over, { services: sick, keep: false, wellSeconds: 1 }), {
      code: 'health/drill',
      why: /answers without the expected text/,
    });
    const said = live.events.flatMap((event) => (event.kind === 'progress' ? [event.text] : []));
    t.ok(said.includes('rolling forward to the end of the WAL'));
    t.strictSame(await ofDrill(), []);
    t.notOk(existsSync(drillFolder(context)));
    t.equal(await live.sql('web', 'SELECT count(*) FROM note'), '2', 'the live one is as it was');
  },
);
