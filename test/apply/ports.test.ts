import { createServer } from 'node:net';
import t from 'tap';
import { checkPorts } from '../../installer/apply/ports.ts';
import { LocalHost } from '../../installer/host/local.ts';
import type { Plan } from '../../installer/model/operation.ts';
import type { Stack, StackService } from '../../installer/model/stack.ts';
import type { Observed } from '../../installer/plan/observed.ts';
import { platform } from './platform.ts';
import { World } from './world.ts';

const LISTEN_443 =
  '  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode\n' +
  '   0: 00000000:01BB 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 4711 1\n' +
  '   1: 0100007F:D431 0100007F:01BB 01 00000000:00000000 00:00000000 00000000     0        0 4712 1\n';
const PROC = { mode: 0o444, uid: 0, gid: 0 };

function squatted(): World {
  const world = new World();
  world.host.files.write('/proc/net/tcp', Buffer.from(LISTEN_443), PROC);
  world.host.files.write('/proc/812/comm', Buffer.from('apache2\n'), PROC);
  world.host.on(
    ['find', '/proc'],
    ({ argv }) => ({
      stdout: argv.includes('socket:\\[4711\\]') ? '/proc/812/fd/4\n' : '',
    }),
    { looks: true },
  );
  return world;
}

t.test('a port that another program holds is refused before anything is changed', async (t) => {
  const world = squatted();
  await t.rejects(world.apply(platform({ published: ['80', '443'] })), {
    code: 'preflight/port-taken',
    why: 'port 443, which nginx needs, is taken by apache2 (pid 812)',
  });
  t.strictSame(world.containers(), []);
  world.host.files.remove('/proc/net/tcp', false);
  t.equal((await world.apply(platform({ published: ['80', '443'] }))).result, 'applied');
});

t.test('a container of ours that runs holds its own port', async (t) => {
  const world = squatted();
  world.host.files.remove('/proc/net/tcp', false);
  await world.apply(platform({ published: ['443'] }));
  world.host.files.write('/proc/net/tcp', Buffer.from(LISTEN_443), PROC);
  const next = await world.apply(platform({ published: ['443', '80'] }));
  t.equal(next.result, 'applied', 'nginx is recreated');
});

t.test('what the relay holds over IPv6 is in nobody’s way', async (t) => {
  const world = squatted();
  world.host.files.remove('/proc/net/tcp', false);
  const relayed = { published: ['80', '443'], relay: true };
  await world.apply(platform(relayed));
  world.host.files.write('/proc/net/tcp6', Buffer.from(LISTEN_443), PROC);
  world.engine.remove(world.containerId('nginx') ?? '');
  t.equal((await world.apply(platform(relayed))).result, 'applied', 'nginx was gone');
});

t.test('a relay that comes takes over from Docker, and from nobody else', async (t) => {
  const world = squatted();
  world.host.files.remove('/proc/net/tcp', false);
  await world.apply(platform({ published: ['80', '443'] }));
  world.host.files.write('/proc/net/tcp6', Buffer.from(LISTEN_443), PROC);
  const relayed = platform({ published: ['80', '443'], relay: true });
  const before = world.containers();
  await t.rejects(world.apply(relayed), {
    code: 'preflight/port-taken',
    why: 'port 443, which nginx-ipv6 needs, is taken by apache2 (pid 812)',
  });
  t.strictSame(world.containers(), before);
  world.host.files.write('/proc/812/comm', Buffer.from('docker-proxy\n'), PROC);
  t.equal((await world.apply(relayed)).result, 'applied');
});

t.test('on this machine the holder is found by name', async (t) => {
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  t.teardown(() => server.close());
  const address = server.address();
  const published = String(typeof address === 'object' && address !== null ? address.port : 0);
  const plan = {
    operations: [
      { kind: 'compose-up', services: [{ service: 'edge', change: 'create', cause: 'new' }] },
    ],
  } as unknown as Plan;
  const edge = { ports: [{ target: 1, published, protocol: 'tcp', mode: 'host' }] };
  const stack = { services: { edge: edge as unknown as StackService } } as unknown as Stack;
  const desired = { stack, standIns: [] };
  const observed = { containers: [] } as unknown as Observed;
  await t.rejects(checkPorts(new LocalHost(), plan, desired, observed), {
    code: 'preflight/port-taken',
    why: new RegExp(
      `port ${published}, which edge needs, is taken by \\S+ \\(pid ${process.pid}\\)`,
    ),
  });
  server.close();
  await new Promise((resolve) => server.once('close', resolve));
  await t.resolves(checkPorts(new LocalHost(), plan, desired, observed));
});
