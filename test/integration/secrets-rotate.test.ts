import { spawn } from 'node:child_process';
import { randomInt } from 'node:crypto';
import { once } from 'node:events';
import { join } from 'node:path';
import t, { type Test } from 'tap';
import { thisProcess } from '../../installer/apply/process-identity.ts';
import { uninstall } from '../../installer/apply/uninstall.ts';
import { roleSecret } from '../../installer/components/postgres/names.ts';
import { redisUserSecret } from '../../installer/components/redis/names.ts';
import { LABELS } from '../../installer/model/labels.ts';
import { ownBlock } from './support/own-block.ts';
import { platformImages } from './support/platform-images.ts';
import { type DataPlatform, type Opened, openPlatform } from './support/rotate-process.ts';

const NETWORKS = ['app-web', 'data-web', 'exporter-postgres', 'exporter-redis'];
const DATABASE = roleSecret('web');
const QUEUE = redisUserSecret('web');

async function freshPlatform(t: Test): Promise<DataPlatform & { readonly project: string }> {
  const images = await platformImages('postgres', 'redis', 'node');
  const project = `hf${randomInt(1e9).toString(36)}`;
  const block = await ownBlock('10.218', 256);
  const platform = {
    root: t.testdir({}),
    project,
    images,
    subnets: Object.fromEntries(
      NETWORKS.map((name, index) => [name, `10.218.${block}.${index * 64}/26`]),
    ),
    body: `project: ${project}
updates: { rollback: { within: 1s } }
services:
  web:
    image: "${images['node']}"
    port: 3000
    uses: [postgres, redis]
    args: [node, -e, "process.on('SIGTERM', process.exit); require('net').createServer().listen(3000)"]
`,
  };
  t.teardown(async () => {
    const opened = openPlatform(platform);
    await uninstall(opened.context, {
      process: await thisProcess('test'),
      waitSeconds: 0,
      purge: true,
      images: false,
      confirm: async () => true,
    });
    await opened.engine.close();
  });
  return platform;
}

async function container(opened: Opened, project: string, service: string) {
  const all = await opened.engine.containers({ [LABELS.project]: project });
  // The release before is stopped beside the one that serves.
  const found = all.find((one) => one.service === service && one.status === 'running');
  if (found === undefined) throw new Error(`${service} does not run`);
  return found;
}

/** Whether the servers let the service in with these passwords, over TCP. */
async function accepts(opened: Opened, project: string, name: string, password: string) {
  const isDatabase = name === DATABASE;
  const { id } = await container(opened, project, isDatabase ? 'postgres' : 'redis');
  const { exitCode } = await opened.engine.exec(
    id,
    isDatabase
      ? {
          argv: ['psql', '-X', '-h', '127.0.0.1', '-U', 'web', '-d', 'web', '-c', 'SELECT 1'],
          env: { PGPASSWORD: password },
        }
      : {
          argv: ['redis-cli', '-e', '--user', 'web', '--no-auth-warning', 'GET', 'x'],
          env: { REDISCLI_AUTH: password },
        },
  );
  return exitCode === 0;
}

/** The same password in the store, in the server and in the service; then nothing is left to do. */
async function checkOne(t: Test, opened: Opened, project: string, name: string): Promise<string> {
  const stored = (await opened.store.get(name))?.reveal() ?? '';
  t.equal(await accepts(opened, project, name, stored), true, 'the server takes the stored one');
  const web = await container(opened, project, 'web');
  const variable = name === DATABASE ? 'DATABASE_PASSWORD' : 'REDIS_PASSWORD';
  const { stdout } = await opened.engine.exec(web.id, { argv: ['printenv', variable] });
  t.equal(stdout.trim(), stored, 'the service has the stored one');
  t.equal(await opened.applyAll(), 'unchanged');
  return stored;
}

/** Another process rotates and kills itself with -9 at its nth change of the host. */
async function killedRotation(platform: DataPlatform, name: string, killAt: number) {
  const program = join(import.meta.dirname, 'support/rotate-process.ts');
  const child = spawn(
    process.execPath,
    [program, 'rotate', JSON.stringify([platform, name, killAt])],
    { stdio: ['ignore', 'ignore', 'inherit'] },
  );
  const [, signal] = (await once(child, 'exit')) as [number | null, string | null];
  return signal;
}

t.test('passwords of running servers are rotated', async (t) => {
  const platform = await freshPlatform(t);
  const { project } = platform;
  const opened = openPlatform(platform);
  t.teardown(() => opened.engine.close());
  t.equal(await opened.applyAll(), 'applied');
  const changes = { [DATABASE]: 0, [QUEUE]: 0 };

  for (const name of [DATABASE, QUEUE]) {
    await t.test(`${name}: new everywhere, the servers keep running`, async (t) => {
      const old = await checkOne(t, opened, project, name);
      const servers = async () => [
        (await container(opened, project, 'postgres')).id,
        (await container(opened, project, 'redis')).id,
      ];
      const before = await servers();
      const count = opened.changes();
      t.equal(await opened.rotateSecret(name), 'rotated');
      changes[name] = opened.changes() - count;
      t.not(await checkOne(t, opened, project, name), old);
      t.equal(await accepts(opened, project, name, old), false, 'the old one is refused');
      t.strictSame(await servers(), before);
      t.equal(await opened.store.next(name), undefined);
    });
  }

  await t.test('killed with -9 on the way: again, or a plain apply, and all is one', async (t) => {
    for (const name of [DATABASE, QUEUE]) {
      const steps = changes[name] ?? 0;
      t.ok(steps > 10, `${steps} changes of the host`);
      const sample = [3, 8, Math.floor(steps * 0.6), steps - 2];
      for (const [index, killAt] of sample.entries()) {
        t.equal(await killedRotation(platform, name, killAt), 'SIGKILL', `${name} at ${killAt}`);
        if (index % 2 === 0) await opened.rotateSecret(name);
        else await opened.applyAll();
        await checkOne(t, opened, project, name);
      }
    }
  });

  await t.test('a server that is down changes nothing, and says what to do', async (t) => {
    // The rotation before it was killed and never finished: what it began is given up as well.
    const old = (await opened.store.settled(DATABASE))?.reveal();
    const { id } = await container(opened, project, 'postgres');
    await opened.context.host.run({ argv: ['docker', 'stop', id] });
    await t.rejects(opened.rotateSecret(DATABASE), {
      code: 'secret/rotation-failed',
      why: /postgres does not run/,
    });
    await opened.applyAll();
    t.equal(await checkOne(t, opened, project, DATABASE), old);
  });
});
