import { mkdtempSync, rmSync } from 'node:fs';
import { createServer, type ServerResponse } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import t, { type Test } from 'tap';
import { systemClock } from '../../agent/clock.ts';
import { askReplica } from '../../agent/replicas/ask-replica.ts';
import { EngineSocket } from '../../agent/replicas/engine-socket.ts';
import { listReplicas, type Replica } from '../../agent/replicas/replica-list.ts';
import { until } from './support.ts';

/** An engine of a few words on a unix socket. */
async function engine(t: Test) {
  const folder = mkdtempSync(join(tmpdir(), 'engine-'));
  const asked: string[] = [];
  const streams: ServerResponse[] = [];
  const answers = new Map<string, { status?: number; body: unknown }>();
  const server = createServer((request, response) => {
    const url = new URL(request.url ?? '', 'http://engine');
    asked.push(`${request.method} ${decodeURIComponent(url.pathname + url.search)}`);
    if (url.pathname === '/events') {
      response.writeHead(200).flushHeaders();
      streams.push(response);
      return;
    }
    const { status = 200, body } = answers.get(url.pathname) ?? { status: 404, body: {} };
    response.writeHead(status, { 'content-type': 'application/json' });
    // In two pieces, as a long list comes.
    const text = JSON.stringify(body);
    response.write(text.slice(0, 10));
    response.end(text.slice(10));
  });
  const path = `${folder}/engine.sock`;
  await new Promise<void>((resolve) => server.listen(path, resolve));
  t.teardown(async () => {
    server.closeAllConnections();
    await new Promise((resolve) => server.close(resolve));
    rmSync(folder, { recursive: true });
  });
  return { path, asked, streams, answers };
}

const listed = (name: string, fields: object) => ({
  Id: `id-${name}`,
  Names: [`/${name}`],
  State: 'running',
  Status: 'Up 3 seconds',
  Labels: { 'com.docker.compose.service': 'web' },
  NetworkSettings: { Networks: { p_b: { IPAddress: '10.0.2.2' }, p_a: { IPAddress: '10.0.1.2' } } },
  ...fields,
});

t.test('the list: addresses, states, health, and no one-offs', async (t) => {
  const { path, asked, answers } = await engine(t);
  const many = Array.from({ length: 300 }, (_, index) =>
    listed(`other-${index}`, { Labels: { 'com.docker.compose.service': 'x'.repeat(2_000) } }),
  );
  answers.set('/containers/json', {
    body: [
      listed('web-2', { Status: 'Up 2 minutes (unhealthy)' }),
      listed('web-1', { Status: 'Up 2 minutes (healthy)' }),
      listed('web-b-1', {
        State: 'exited',
        Status: 'Exited (1) 2 hours ago',
        Labels: { 'io.holdfast.service': 'web', 'com.docker.compose.service': 'web-b' },
        NetworkSettings: { Networks: { p_a: { IPAddress: '' } } },
      }),
      listed('web-run-1', {
        Labels: { 'com.docker.compose.service': 'web', 'com.docker.compose.oneoff': 'True' },
      }),
      ...many,
    ],
  });
  const replicas = await listReplicas(new EngineSocket(path), 'shop', new Set(['web']));
  t.match(replicas, [
    { name: 'web-1', id: 'id-web-1', isRunning: true, health: 'healthy', address: '10.0.1.2' },
    { name: 'web-2', health: 'unhealthy' },
    { name: 'web-b-1', service: 'web', isRunning: false, state: 'exited', address: undefined },
  ]);
  t.equal(replicas.length, 3);
  t.strictSame(asked, [
    'GET /containers/json?all=1&filters={"label":["io.holdfast.project=shop"]}',
  ]);
});

t.test('an engine that refuses or is not there is an error with its words', async (t) => {
  const { path, answers } = await engine(t);
  answers.set('/containers/x/restart', { status: 409, body: { message: 'it is being removed' } });
  const socket = new EngineSocket(path);
  await t.rejects(socket.post('/containers/x/restart', 5), /answered 409: .*being removed/);
  await t.rejects(new EngineSocket('/nowhere.sock').get('/containers/json'), /engine: .*ENOENT/);
});

t.test('events are told, also after the connection was lost', async (t) => {
  const { path, streams } = await engine(t);
  let events = 0;
  const stop = new EngineSocket(path).events({ type: ['container'] }, systemClock, () => {
    events += 1;
  });
  await until('the head of the answer', () => events === 1);
  streams[0]?.write('{"Action":"start"}\n');
  await until('an event', () => events === 2);
  streams[0]?.socket?.destroy();
  await until('another connection', () => streams.length === 2 && events === 3);
  stop();
  await until('no connection', () => streams[1]?.socket?.destroyed !== false);
});

const REPLICA: Replica = {
  id: 'x',
  name: 'web-1',
  service: 'web',
  isRunning: true,
  state: 'running',
  health: 'none',
  address: '127.0.0.1',
  labels: {},
};

t.test('a real replica: its status, its body, its port, its silence', async (t) => {
  const server = createServer((request, response) => {
    if (request.url === '/hangs') return;
    const status = Number(/\d+/.exec(request.url ?? '')?.[0] ?? 200);
    response.writeHead(status).end('{"status":"ok"}');
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const address = server.address();
  const port = typeof address === 'object' && address !== null ? address.port : 0;
  const ask = (path: string, expect?: string, seconds = 60) =>
    askReplica(
      REPLICA,
      { kind: 'http', port, path, ...(expect === undefined ? {} : { expect }) },
      seconds,
    );
  t.match(await ask('/health', '"status":"ok"'), { ok: true, why: '' });
  t.match(await ask('/302'), { ok: true });
  t.match(await ask('/503'), { ok: false, why: '/503 answers 503' });
  t.match(await ask('/health', 'ready'), { ok: false, why: /without the expected text/ });
  t.match(await ask('/hangs', undefined, 1), { ok: false, why: /no answer within 1 s/ });
  t.match(await askReplica(REPLICA, { kind: 'port', port }, 60), { ok: true });
  server.closeAllConnections();
  await new Promise((resolve) => server.close(resolve));
  t.match(await askReplica(REPLICA, { kind: 'port', port }, 60), {
    ok: false,
    why: /ECONNREFUSED/,
  });
  t.match(await ask('/health'), { ok: false, why: /ECONNREFUSED/ });
  t.match(await askReplica({ ...REPLICA, health: 'unhealthy' }, { kind: 'engine' }, 1), {
    ok: false,
  });
  t.equal(await askReplica({ ...REPLICA, health: 'starting' }, { kind: 'engine' }, 1), undefined);
});
