import { execFile } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { once } from 'node:events';
import { readFile, rename, writeFile } from 'node:fs/promises';
import { connect as connectHttp2 } from 'node:http2';
import { connect as connectPlain, type Socket } from 'node:net';
import { join } from 'node:path';
import { setTimeout } from 'node:timers/promises';
import { connect as connectTls, type TLSSocket } from 'node:tls';
import { promisify } from 'node:util';
import t, { type Test } from 'tap';
import { validatorCommand } from '../../installer/apply/validate.ts';
import { REOPEN_LOGS } from '../../installer/components/nginx/access-log.ts';
import { edgeStatePath } from '../../installer/engine/edge-state.ts';
import { LocalHost } from '../../installer/host/local.ts';
import {
  type EdgeService,
  type EdgeState,
  type ReplicaState,
  withVerdict,
} from '../../installer/model/edge-state.ts';
import { NGINX } from '../../installer/model/nginx-reload.ts';
import { pathsUnder } from '../../installer/model/paths.ts';
import { builtImage, docker, logsOf, waitFor, writeDesired } from '../support/containers.ts';
import { type Answer, edgeDesired, type Question, routeTo, TestEdge } from '../support/edge.ts';
import { Load } from '../support/load.ts';

const execFileAsync = promisify(execFile);
/** Longer than KEEP_ADDRESS of nginx/lua/replicas.lua. */
const SECONDS_OF_AN_ADDRESS = 8;

const CONFIG = `
domain: app.example.com
tls: { hsts: { includeSubDomains: true } }
http:
  clientMaxRequests: 60
  denyPaths: [/internal/]
  headers: { frameOptions: DENY, permissionsPolicy: 'camera=(), microphone=(self "https://a.example")' }
  cors: { allowOrigins: ["https://front.example.com", "https://*.apps.example.com:8443"] }
  csp: { default-src: ["'self'"], img-src: ["*", "data:"] }
services:
  chat: { image: "a:1", port: 3000, replicas: 3 }
  web: { image: "a:1", port: 3000, routes: [{ path: / }] }
  api:
    image: "a:1"
    port: 3001
    metrics: { path: /stats }
    routes: [{ path: /api/ }, { path: /guarded/, basicAuth: USERS }]
`;
const ROUTES = [
  routeTo('web', 3000, { path: '/' }),
  routeTo('api', 3001, { path: '/api/', maxBody: 1024 }),
  routeTo('orders', 3001, { path: '/api/orders/' }),
  routeTo('orders', 3001, { path: '/old/shop/', strip: true }),
  routeTo('api', 3001, { path: '/internal/report/' }),
  routeTo('api', 3001, { path: '/guarded/' }),
  routeTo('api', 3001, { path: '/office/', allowFrom: ['192.0.2.0/24', '2001:db8:7::/48'] }),
  routeTo('web', 3000, { path: '/office/lobby/' }),
  routeTo('web', 3000, { path: '/OFFICE/' }),
  routeTo('api', 3001, { path: '/hooks/', rawBody: true }),
  routeTo('web', 3000, { path: '/live/', websocket: true }),
  routeTo('chat', 3000, { path: '/socket.io/', sticky: 'ip', websocket: true }),
  routeTo('chat', 3000, { path: '/room/', sticky: 'cookie', strip: true }),
  routeTo('missing', 3000, { path: '/gone/' }),
  routeTo('web', 3000, { host: 'other.example.com' }),
];

const users = { USERS: 'ann:s3cret:x\nbob:two words' };
// As on a machine with IPv6, whose relay this test is.
const edge = await TestEdge.start(CONFIG, ROUTES, users, { relayed: true });
t.teardown(() => edge.stop());

async function reached(path: string): Promise<{ service: string; url: string }> {
  const { status, body } = await edge.ask(path);
  if (status !== 200) throw new Error(`${path} answered ${status}`);
  return JSON.parse(body);
}

const HEADERS = {
  'strict-transport-security': 'max-age=31536000; includeSubDomains',
  'x-content-type-options': 'nosniff',
  'x-frame-options': 'DENY',
  'referrer-policy': 'strict-origin-when-cross-origin',
  'permissions-policy': 'camera=(), microphone=(self "https://a.example")',
  'content-security-policy': "default-src 'self'; img-src * data:",
};

t.test('clients over IPv6 are told apart by what the relay says of them', async (t) => {
  const forged = { 'x-forwarded-for': '2001:db8:7::66', 'x-real-ip': '2001:db8:7::66' };
  for (const client of ['2001:db8:7::1', '2001:db8:8::1']) {
    const { status, body } = await edge.askOverIpv6(client, '/api/seen', { headers: forged });
    t.equal(status, 200, body);
    const { headers } = JSON.parse(body);
    t.equal(headers['x-forwarded-for'], client, 'and by nothing that they say themselves');
    t.equal(headers['x-real-ip'], client);
    const inside = client === '2001:db8:7::1' ? 200 : 403;
    t.equal((await edge.askOverIpv6(client, '/office/')).status, inside, 'allowFrom');
    await waitFor(`the line of ${client} in the log`, async () =>
      (await edge.accessLog()).includes(`"client":"${client}"`) ? true : undefined,
    );
  }
  t.notMatch(await edge.accessLog(), '2001:db8:7::66');
});

t.test('a service is not believed when it speaks as the relay does', async (t) => {
  const script = `
    const socket = require('node:net').connect(8090, 'nginx');
    socket.write('PROXY TCP6 2001:db8:7::99 2001:db8::1 40000 80\\r\\n');
    socket.end('GET /by-a-service HTTP/1.0\\r\\nHost: app.example.com\\r\\n\\r\\n');
    socket.pipe(process.stdout);`;
  const [service = ''] = edge.replicaIds.values();
  t.match(await docker('exec', service, 'node', '-e', script), /^HTTP\/1\.1 301 /);
  await waitFor('its line in the log', async () =>
    (await edge.accessLog()).includes('/by-a-service') ? true : undefined,
  );
  t.notMatch(await edge.accessLog(), '2001:db8:7::99');
});

t.test('the longest prefix wins, and a folder is reached without its slash', async (t) => {
  t.match(await reached('/'), { service: 'web', url: '/' });
  t.match(await reached('/api/x?y=1'), { service: 'api', url: '/api/x?y=1' });
  t.match(await reached('/api/orders/7'), { service: 'orders', url: '/api/orders/7' });
  t.match(await reached('/api/orders'), { service: 'orders', url: '/api/orders' });
  t.match(await reached('/api/orders?a=b'), { service: 'orders', url: '/api/orders?a=b' });
  t.match(await reached('/api/ordersx'), { service: 'api', url: '/api/ordersx' });
  t.match(await reached('/apix'), { service: 'web', url: '/apix' });
  t.match(
    await reached('/a%2Fb%20c//d'),
    { service: 'web', url: '/a%2Fb%20c//d' },
    'byte for byte',
  );
});

t.test('a stripped prefix is gone, the rest and the query stay', async (t) => {
  t.match(await reached('/old/shop/a/b?c=d'), { service: 'orders', url: '/a/b?c=d' });
  t.match(await reached('/old/shop/'), { service: 'orders', url: '/' });
  t.match(await reached('/old/shop'), { service: 'orders', url: '/' });
  t.match(await reached('/old/shop?x'), { service: 'orders', url: '/?x' });
  t.match(await reached('/old/shop/a%20b%0Ac%3Fd'), { url: '/a%20b%0Ac%3Fd' });
});

t.test('closed paths answer 404, also below a route and where metrics are', async (t) => {
  for (const path of ['/internal', '/internal/', '/internal/report/1', '/metrics', '/metrics/x']) {
    t.equal((await edge.ask(path)).status, 404, path);
  }
  t.match(await reached('/metricsx'), { service: 'web' });
  t.match(await reached('/internals'), { service: 'web' });
  t.equal((await edge.ask('/stats')).status, 404, 'where the service says its metrics are');
  t.equal((await edge.ask('/.holdfast/errors/404.html')).status, 404);
});

t.test('no other spelling of a path gets past what guards it', async (t) => {
  const refused: Readonly<Record<number, readonly string[]>> = {
    400: [
      ...['//x/office/a', '//office/a', 'https://app.example.com//x/office/a'],
      ...['/office\\a', '/x\\..\\office/a', '/x\\office'],
      ...['/office/../x', '/office//../x', '/x/../office/a', '/x/./office/a', '/office/.', '/..'],
      ...['/office/..%2fx', '/office%2F..%2fx', '/x/%2E%2e/office', '/office/%2e./x', '/x/.%2e%2F'],
      ...[
        '/x/..;/office/a',
        '/x/.;a/office',
        '/;/office/a',
        '/;x/office/a',
        '/x..%5c/..%5coffice/a',
      ],
    ],
    404: [
      ...['/METRICS', '/Metrics/x', '/metrics;x', '/Internal/x', '/INTERNAL', '/internal;a=b/x'],
      ...[
        '/Stats',
        '/%53TATS',
        '/internal%2Fx',
        '/Office/a',
        '/oFFICE',
        '/%4fffice/a',
        '/office;a/b',
        '/office;a',
      ],
      ...['/GUARDED/', '/Guarded?x', '/guarded;/x'],
      ...['/office/lobby%2Fa', '/office//lobby/a', '/office%2flobby/a'],
    ],
    403: [
      '/office/a',
      '/office/LOBBY/a',
      '/office//a',
      '/%6fffice/a',
      '/office%2Fa',
      '/office/lobby;a/b',
    ],
    401: ['/guarded//x', '/%67uarded/x', '/guarded%2fx'],
  };
  for (const [status, paths] of Object.entries(refused)) {
    for (const path of paths) {
      const answer = await edge.ask(path);
      t.match(answer, { status: Number(status), headers: HEADERS }, path);
    }
  }
  t.match((await edge.ask('/x\\y')).body, /<h1>Bad request<\/h1>/);
  const open = [
    '/a%5Cb',
    '/a;b=c/d;e',
    '/a//b/...',
    '/a/..b/.c',
    '/a?b=..%2F../\\//',
    '/.well-known/x',
  ];
  for (const path of [...open, '/OFFICE/a', '/office/lobby/a%2Fb', '/office/lobby?x', '/officer']) {
    t.match(await reached(path), { service: 'web', url: path }, 'byte for byte');
  }
});

t.test('every answer carries each security header once', async (t) => {
  const large = { method: 'POST', body: Buffer.alloc(2048) };
  const answers: readonly (readonly [number, string, Promise<Answer>])[] = [
    [200, 'of a service', edge.ask('/')],
    [500, 'error of a service', edge.ask('/', { headers: { 'x-status': '500' } })],
    [404, 'closed', edge.ask('/internal/')],
    [413, 'too large', edge.ask('/api/', large)],
    [502, 'no such container', edge.ask('/gone/')],
    [403, 'not from here', edge.ask('/office/')],
    [401, 'no password', edge.ask('/guarded/')],
    [400, 'header too large', edge.ask('/', { headers: { 'x-long': 'x'.repeat(20_000) } })],
  ];
  for (const [status, name, asked] of answers) {
    const answer = await asked;
    t.equal(answer.status, status, name);
    t.match(answer.headers, HEADERS, name);
    t.match(answer.headers['server'], /^nginx$/, 'no version');
  }
  const redirect = await edge.ask('/', { plain: true });
  const { 'strict-transport-security': _tlsOnly, ...onPlain } = HEADERS;
  t.match(redirect.headers, onPlain);
  t.notOk(redirect.headers['strict-transport-security'], 'not over plain HTTP');
});

t.test('a service may be stricter or more exact than the edge, never laxer', async (t) => {
  const saying = (headers: Record<string, string>) =>
    edge.ask('/', { headers: { 'x-answer': JSON.stringify(headers) } });
  const own = await saying({
    'X-Frame-Options': 'SAMEORIGIN',
    'X-Content-Type-Options': 'nosniff',
    'Strict-Transport-Security': 'max-age=0',
    'Referrer-Policy': 'no-referrer',
    'Content-Security-Policy': "default-src 'none'",
  });
  t.match(own.headers, {
    ...HEADERS,
    'referrer-policy': 'no-referrer',
    'content-security-policy': "default-src 'none'",
  });
});

const LISTED = ['https://front.example.com', 'https://a.b.apps.example.com:8443'];
const UNLISTED = [
  'https://front.example.com.evil.example',
  'https://front.example.com:444',
  'http://front.example.com',
  'https://frontXexample.com',
  'https://apps.example.com:8443',
  'https://evil/.apps.example.com:8443',
  'https://evilapps.example.com:8443',
  'null',
];

t.test('a listed origin is repeated with credentials, another never', async (t) => {
  const own = {
    'x-answer': JSON.stringify({
      'Access-Control-Allow-Origin': '*',
      'Access-Control-Allow-Credentials': 'true',
      'Access-Control-Expose-Headers': 'X-Total',
    }),
  };
  for (const origin of LISTED) {
    const { headers } = await edge.ask('/', { headers: { ...own, origin } });
    t.equal(headers['access-control-allow-origin'], origin, 'once, whatever the service says');
    t.equal(headers['access-control-allow-credentials'], 'true');
    t.equal(headers['access-control-expose-headers'], 'X-Total', 'that is the word of the service');
    t.match(headers.vary, /\bOrigin\b/);
  }
  for (const origin of [...UNLISTED, undefined]) {
    const { headers } = await edge.ask('/', { headers: { ...own, ...(origin && { origin }) } });
    t.notOk(headers['access-control-allow-origin'], String(origin));
    t.notOk(headers['access-control-allow-credentials'], String(origin));
    t.match(headers.vary, /\bOrigin\b/, 'a cache must not give this answer to others');
  }
  const error = await edge.ask('/gone/', { headers: { origin: 'https://front.example.com' } });
  t.equal(error.headers['access-control-allow-origin'], 'https://front.example.com');
});

t.test('a preflight is answered at the edge, also where a password is asked for', async (t) => {
  const preflight = (path: string, origin: string, method = 'OPTIONS') =>
    edge.ask(path, {
      method,
      headers: {
        origin,
        'access-control-request-method': 'PATCH',
        'access-control-request-headers': 'authorization,x-own',
      },
    });
  for (const path of ['/', '/guarded/x']) {
    const { status, headers, body } = await preflight(path, 'https://front.example.com');
    t.equal(status, 204);
    t.equal(body, '');
    t.match(headers, {
      'access-control-allow-origin': 'https://front.example.com',
      'access-control-allow-credentials': 'true',
      'access-control-allow-methods': /\bPATCH\b/,
      'access-control-allow-headers': 'authorization,x-own',
      'access-control-max-age': '7200',
      vary: 'Origin',
    });
  }
  const stranger = await preflight('/', 'https://evil.example');
  t.match(JSON.parse(stranger.body), { service: 'web', method: 'OPTIONS' }, 'left to the service');
  t.notOk(Object.keys(stranger.headers).some((name) => name.startsWith('access-control-')));
  const noPreflight = await preflight('/', 'https://front.example.com', 'GET');
  t.equal(noPreflight.status, 200);
  t.notOk(noPreflight.headers['access-control-allow-methods']);
  const options = { method: 'OPTIONS', headers: { origin: 'https://front.example.com' } };
  t.match((await edge.ask('/', options)).body, '"method":"OPTIONS"', 'OPTIONS alone is a request');
});

t.test('our error pages are for our errors only', async (t) => {
  t.match((await edge.ask('/gone/')).body, /<h1>Not reachable<\/h1>/);
  t.match((await edge.ask('/', { headers: { 'x-status': '502' } })).body, /"service":"web"/);
});

t.test('plain HTTP leads to HTTPS on the configured host; unknown hosts get nothing', async (t) => {
  const redirect = await edge.ask('/a/b?c=d', { plain: true, host: 'other.example.com' });
  t.equal(redirect.status, 301);
  t.equal(redirect.headers.location, 'https://other.example.com/a/b?c=d');
  await t.rejects(edge.ask('/', { plain: true, host: 'evil.example.com' }), { code: 'ECONNRESET' });
  await t.rejects(edge.ask('/', { host: 'evil.example.com' }), /unrecognized name|handshake/);
});

t.test('who asks a known host for another one is told that it is not here', async (t) => {
  const unknown = { headers: { host: 'evil.example.com' } };
  for (const path of ['/misdirected', '/', '/index.html']) {
    const answer = await edge.ask(path, unknown);
    t.match(answer, { status: 421, headers: HEADERS, body: /<h1>Wrong server<\/h1>/ }, path);
  }
  const socket = connectTls({
    ...{ host: edge.address, port: 8443, ca: edge.authority },
    servername: 'app.example.com',
  });
  socket.write('GET / HTTP/1.0\r\n\r\n');
  const [answer] = await once(socket, 'data');
  t.match(String(answer), /^HTTP\/1\.1 421 /, 'nor for none');
  socket.destroy();
  const isLogged = /"host":"_","path":"\/misdirected",.*"status":421,.*"service":"edge"/;
  await waitFor('its line in the log', async () =>
    isLogged.test(await edge.accessLog()) ? true : undefined,
  );
});

const FORGEABLE = [
  ...['cf-connecting-ip', 'true-client-ip', 'x-client-ip', 'x-cluster-client-ip', 'forwarded'],
  ...['fastly-client-ip', 'client-ip', 'x-original-forwarded-for', 'x-remote-addr', 'x-scheme'],
  ...['x-original-url', 'x-rewrite-url', 'x-original-uri', 'x-original-host', 'x-host'],
  ...['x-forwarded-prefix', 'x-forwarded-server', 'x-forwarded-ssl', 'x-forwarded-scheme'],
];

t.test('a service learns who asks, and nothing that the client made up', async (t) => {
  const forged = {
    ...Object.fromEntries(FORGEABLE.map((name) => [name, '203.0.113.1'])),
    'x-forwarded-for': '203.0.113.1',
    'x-real-ip': '203.0.113.1',
    'x-forwarded-proto': 'http',
    'x-forwarded-host': 'evil.example.com',
    forwarded: 'for=203.0.113.1',
    proxy: 'evil',
    upgrade: 'h2c',
    connection: 'upgrade',
  };
  const { headers } = JSON.parse((await edge.ask('/', { headers: forged })).body);
  t.match(headers, {
    host: 'app.example.com',
    'x-forwarded-proto': 'https',
    'x-forwarded-host': 'app.example.com',
    'x-request-id': /^[0-9a-f]{32}$/,
  });
  t.match(headers['x-forwarded-for'], /^\d+\.\d+\.\d+\.1$/, 'the address of the connection');
  t.equal(headers['x-real-ip'], headers['x-forwarded-for']);
  for (const name of [...FORGEABLE, 'proxy', 'upgrade', 'connection']) t.notOk(headers[name], name);
});

async function shakeHands(path: string): Promise<[string, TLSSocket]> {
  const socket = connectTls({
    host: edge.address,
    port: 8443,
    servername: 'app.example.com',
    ca: edge.authority,
  });
  await once(socket, 'secureConnect');
  socket.write(
    `GET ${path} HTTP/1.1\r\nHost: app.example.com\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n`,
  );
  const [first] = await once(socket, 'data');
  return [String(first).split('\r\n')[0] ?? '', socket];
}

/** Says nothing while the other tests run. */
const silent = shakeHands('/live/silent').then(([accepted, socket]) => {
  let isClosed = false;
  socket
    .on('error', () => undefined)
    .on('close', () => {
      isClosed = true;
    });
  return { accepted, socket, since: Date.now(), isClosed: () => isClosed };
});

t.test('a WebSocket upgrades where the route says so, and only there', async (t) => {
  const [accepted, socket] = await shakeHands('/live/x');
  t.equal(accepted, 'HTTP/1.1 101 Switching Protocols');
  // Long enough to be told from the time of the handshake, on a slow machine too.
  await setTimeout(3000);
  socket.write('hello');
  const [echo] = await once(socket, 'data');
  t.equal(String(echo), 'hello');
  socket.destroy();
  const [refused, other] = await shakeHands('/');
  t.equal(refused, 'HTTP/1.1 200 OK');
  other.destroy();
  const smuggled = { headers: { upgrade: 'h2c', connection: 'upgrade' } };
  const { headers } = JSON.parse((await edge.ask('/live/', smuggled)).body);
  t.notOk(headers.upgrade ?? headers.connection, 'no other protocol than WebSocket');
});

async function replicaOf(path: string, question: Question = {}): Promise<string> {
  const { status, body } = await edge.ask(path, question);
  if (status !== 200) throw new Error(`${path} answered ${status}`);
  return JSON.parse(body).replica;
}

t.test('a client sticks to one replica by address, or by a cookie of its own', async (t) => {
  const asked = await Promise.all(Array.from({ length: 12 }, () => replicaOf('/socket.io/')));
  t.equal(new Set(asked).size, 1);
  const strangers = await Promise.all(Array.from({ length: 40 }, () => replicaOf('/room/')));
  t.equal(new Set(strangers).size, 3, 'strangers are spread over all');
  const first = await edge.ask('/room/a');
  const [set = ''] = first.headers['set-cookie'] ?? [];
  t.match(set, /^holdfast_replica_chat=[0-9a-f]{8}; Path=\/; HttpOnly; Secure; SameSite=Lax$/);
  const cookie = { headers: { cookie: set.split(';')[0] ?? '' } };
  const again = await Promise.all(Array.from({ length: 12 }, () => replicaOf('/room/b', cookie)));
  t.same([...new Set(again)], [JSON.parse(first.body).replica]);
  t.notOk((await edge.ask('/room/', cookie)).headers['set-cookie'], 'once');
  const others = { headers: { cookie: cookie.headers.cookie.replace('_chat=', '_web=') } };
  const own = (await edge.ask('/room/', others)).headers['set-cookie'];
  t.match(
    own,
    [/^holdfast_replica_chat=/],
    'what another service of the host has set is not its own',
  );
});

t.test('those that serve go on until what follows them can be found', async (t) => {
  const chat = (await edge.status()).services['chat'];
  let before: EdgeState | undefined;
  await edge.route((state) => {
    before = state;
    const follower = { container: 'app-chat-9', id: 'none', state: 'up' } as const;
    const next: EdgeService = { slot: 'b', port: 9, replicas: [follower] };
    return { ...state, services: { ...state.services, chat: next } };
  });
  t.strictSame((await edge.status()).services['chat'], chat);
  const asked = await Promise.all(Array.from({ length: 20 }, () => edge.ask('/room/')));
  t.strictSame([...new Set(asked.map(({ status }) => status))], [200], 'on their own port');
  await edge.route(() => before as EdgeState);
});

t.test('while the engine answers no names, those that are known stay', async (t) => {
  const pid = await docker('inspect', '--format', '{{.State.Pid}}', edge.container);
  const namesAnswer = (yes: boolean) =>
    execFileAsync('nsenter', [
      ...['--target', pid, '--net', 'iptables', yes ? '-D' : '-I', 'OUTPUT'],
      ...['-p', 'udp', '-d', '127.0.0.11', '-j', 'DROP'],
    ]);
  await namesAnswer(false);
  const until = Date.now() + SECONDS_OF_AN_ADDRESS * 1000;
  const statuses = new Set<number>();
  while (Date.now() < until) statuses.add((await edge.ask('/room/')).status);
  t.strictSame([...statuses], [200]);
  await namesAnswer(true);
});

t.test('a replica that is taken out gets no request from then on, and no reload', async (t) => {
  const cookieOf = async (container: string): Promise<Question> => {
    for (;;) {
      const { headers, body } = await edge.ask('/room/');
      const cookie = headers['set-cookie']?.[0]?.split(';')[0] ?? '';
      if (JSON.parse(body).replica === container) return { headers: { cookie } };
    }
  };
  const stuck = await cookieOf('app-chat-2');
  const marked = (state: ReplicaState) =>
    edge.route((before) => withVerdict(before, 'app-chat-2', { state, reason: 'test' }));
  for (const state of ['out', 'draining'] as const) {
    await marked(state);
    const asked = await Promise.all(Array.from({ length: 40 }, () => replicaOf('/room/')));
    t.same([...new Set(asked)].sort(), ['app-chat-1', 'app-chat-3'], state);
    t.not(await replicaOf('/room/', stuck), 'app-chat-2', 'also where a cookie asks for it');
  }
  await marked('up');
  t.equal(await replicaOf('/room/', stuck), 'app-chat-2');
  t.notMatch(await logsOf(edge.container), 'reconfiguring');
});

t.test('a service is known by the state before it has a route', async (t) => {
  await edge.route((before) => {
    const chat = before.services['chat'] ?? { slot: 'a', replicas: [] };
    const soon = { slot: 'a', port: 9, replicas: chat.replicas } as const;
    const nowhere = { slot: 'a', port: 9, replicas: [] } as const;
    return { ...before, services: { ...before.services, soon, nowhere } };
  });
  const { services } = await edge.status();
  t.match(services['soon'], { 'app-chat-1': { state: 'up' } }, 'its reload finds it there');
  t.notOk(services['nowhere'], 'nobody waits for one that cannot be reached');
  await edge.route(({ services: { soon: _soon, nowhere: _nowhere, ...services }, ...state }) => ({
    ...state,
    services,
  }));
});

t.test('a state that cannot be read changes nothing', async (t) => {
  const before = await edge.status();
  const path = edgeStatePath(pathsUnder(edge.folder));
  const good = await readFile(path);
  await writeFile(path, '{"version": 1, "services": ');
  await waitFor('the complaint', async () =>
    (await logsOf(edge.container)).includes('is not a state') ? true : undefined,
  );
  t.strictSame((await edge.status()).services['chat'], before.services['chat']);
  await writeFile(path, good);
});

t.test('what is on its way to a replica is counted, WebSockets apart', async (t) => {
  const loads = async () => Object.values((await edge.status()).inFlight);
  // A request is counted down after its client has had the answer.
  await waitFor('all has ended but the silent one', async () => {
    const [one, ...others] = await loads();
    return one?.webSockets === 1 && one.requests === 0 && others.length === 0 ? true : undefined;
  });
  const busy = async () => (await loads()).filter(({ requests }) => requests > 0);
  const slow = edge.ask('/room/', { headers: { 'x-delay': '6000' } });
  await waitFor('a request under way', async () => {
    const [one, ...others] = await busy();
    return one?.requests === 1 && others.length === 0 ? true : undefined;
  });
  const { replica } = JSON.parse((await slow).body);
  await waitFor('its end', async () => ((await busy()).length === 0 ? true : undefined));
  t.match(replica, /^app-chat-\d$/);
});

t.test('connections to a service are used again', async (t) => {
  const ports = await Promise.all(
    Array.from({ length: 5 }, async () => {
      const answers: number[] = [];
      for (let count = 0; count < 10; count += 1) {
        answers.push(JSON.parse((await edge.ask('/')).body).port);
      }
      return new Set(answers);
    }),
  );
  const used = new Set(ports.flatMap((set) => [...set]));
  t.ok(used.size < 15, `50 requests over ${used.size} connections`);
});

t.test('a request that a replica may have acted on is not sent to another', async (t) => {
  const answer = await edge.ask('/socket.io/', { method: 'POST', headers: { 'x-drop': '1' } });
  t.equal(answer.status, 502);
  t.match(answer.body, /<h1>Not reachable<\/h1>/);
  t.match(answer.headers, HEADERS);
  const chats = [...edge.replicaIds].filter(([name]) => name.startsWith('app-chat-'));
  const dropped = async () => {
    const logs = await Promise.all(chats.map(([, id]) => logsOf(id)));
    return logs.join('').match(/dropped/g)?.length;
  };
  // What a replica says comes to its log a moment later.
  t.equal(await waitFor('the word of the replica', dropped), 1);
});

t.test('when its replica is gone, another takes the request, body and all', async (t) => {
  const gone = await replicaOf('/socket.io/');
  await docker('kill', edge.replicaIds.get(gone) ?? '');
  const body = Buffer.alloc(100_000);
  for (const path of ['/socket.io/x?y=1', '/socket.io/']) {
    const answer = await edge.ask(path, { method: 'POST', body });
    t.equal(answer.status, 200);
    const { replica, ...seen } = JSON.parse(answer.body);
    t.not(replica, gone);
    t.match(seen, { method: 'POST', url: path, body: body.length });
    t.match(answer.headers, HEADERS);
  }
  for (const cookie of Array.from({ length: 9 }, (_, index) => `holdfast_replica=${index}`)) {
    const answer = await edge.ask('/room/a%20b?c', { headers: { cookie } });
    t.match(JSON.parse(answer.body), { service: 'chat', url: '/a%20b?c' });
  }
});

t.test('bodies: the limit of the route or of the edge, and raw ones pass unbuffered', async (t) => {
  const post = async (path: string, bytes: number) =>
    (await edge.ask(path, { method: 'POST', body: Buffer.alloc(bytes) })).status;
  t.equal(await post('/api/', 1024), 200);
  t.equal(await post('/api/', 1025), 413);
  t.equal(await post('/', 10 * 1024 ** 2), 200, 'the edge takes 10 MiB, more than fits its memory');
  t.equal(await post('/', 10 * 1024 ** 2 + 1), 413);
  t.equal(await post('/hooks/stripe', 4096), 200);
});

t.test('a password is asked for and kept from the service', async (t) => {
  const as = (user: string) => ({
    headers: { authorization: `Basic ${Buffer.from(user).toString('base64')}` },
  });
  t.equal((await edge.ask('/guarded/', as('ann:wrong'))).status, 401);
  const known = await edge.ask('/guarded/', as('ann:s3cret:x'));
  t.equal(known.status, 200);
  t.notMatch(known.body, 'authorization');
  t.equal((await edge.ask('/guarded', as('bob:two words'))).status, 200);
});

t.test('text is compressed, and HTTP/2 and both TLS versions are spoken', async (t) => {
  const zipped = await edge.ask('/', {
    headers: { 'accept-encoding': 'gzip', 'x-length': '5000' },
    maxVersion: 'TLSv1.2',
  });
  t.match(zipped.headers, { 'content-encoding': 'gzip', vary: /Accept-Encoding/ });
  const session = connectHttp2(`https://${edge.address}:8443`, {
    ca: edge.authority,
    servername: 'app.example.com',
  });
  const stream = session.request({ ':path': '/', ':authority': 'app.example.com' });
  const [headers] = await once(stream, 'response');
  t.match(headers, { ':status': 200, 'x-frame-options': 'DENY' });
  stream.resume();
  await once(stream, 'close');
  session.close();
});

t.test('a malformed request gets 400 with our headers', async (t) => {
  const socket = connectPlain(8080, edge.address);
  socket.write('GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n');
  const [answer] = await once(socket, 'data');
  t.match(String(answer), /^HTTP\/1\.1 400 /);
  t.match(String(answer), /\r\nX-Content-Type-Options: nosniff\r\n/);
  socket.destroy();
});

t.test('a header of 64 KB is refused with our headers, on HTTP/1.1 and HTTP/2', async (t) => {
  const long = { 'x-long': 'x'.repeat(64 * 1024) };
  const answer = await edge.ask('/', { headers: long });
  t.match(answer, { status: 400, headers: HEADERS });
  const session = connectHttp2(`https://app.example.com:8443`, {
    ca: edge.authority,
    createConnection: () =>
      connectTls({
        ...{ host: edge.address, port: 8443, ca: edge.authority },
        ...{ servername: 'app.example.com', ALPNProtocols: ['h2'] },
      }),
  });
  session.on('error', () => undefined);
  const stream = session.request({ ':path': '/', ...long });
  const ended = await once(stream, 'response').then(
    ([headers]) => headers[':status'],
    (error: NodeJS.ErrnoException) => error.code,
  );
  t.ok([400, 'ERR_HTTP2_STREAM_ERROR'].includes(ended), `over HTTP/2: ${ended}`);
  session.destroy();
  t.equal((await edge.ask('/')).status, 200);
});

t.test(
  'who sends a byte a second is cut off, and 10,000 who say nothing block nobody',
  async (t) => {
    const begun = Date.now();
    const slow = connectPlain(8080, edge.address);
    slow.on('error', () => undefined);
    const request =
      'GET / HTTP/1.1\r\nHost: app.example.com\r\nX-Slow: aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa';
    let sent = 0;
    const drip = setInterval(() => slow.write(request[sent++ % request.length] ?? 'a'), 1000);
    // It is reset, which is an error for a client.
    const cut = new Promise<number>((resolve) => {
      slow.once('close', () => resolve(Date.now() - begun));
    });

    const silent: Socket[] = [];
    t.teardown(() => {
      clearInterval(drip);
      for (const socket of silent) socket.destroy();
    });
    // Before the others come: when connections are short, nginx lets go of idle ones at once.
    const after = await cut;
    t.ok(after > 5_000 && after < 60_000, `cut off after ${after} ms`);

    for (let batch = 0; batch < 20; batch += 1) {
      const opened = Array.from({ length: 500 }, (_, index) => {
        const socket = connectPlain(index % 2 === 0 ? 8443 : 8080, edge.address);
        silent.push(socket);
        return new Promise<void>((resolve) => {
          socket.once('connect', resolve).on('error', () => resolve());
        });
      });
      await Promise.all(opened);
      if (batch % 5 === 4) {
        const asked = Date.now();
        t.equal((await edge.ask('/')).status, 200, `beside ${silent.length} silent ones`);
        t.ok(Date.now() - asked < 60_000, 'soon');
      }
    }
    const { OOMKilled, Running } = JSON.parse(
      await docker('inspect', '--format', '{{json .State}}', edge.container),
    );
    t.match({ OOMKilled, Running }, { OOMKilled: false, Running: true }, 'within its memory');
    t.equal((await edge.ask('/')).status, 200);
  },
);

/** Clients of one household, over HTTP/1.1 or HTTP/2. */
async function household(t: Test, client: string, protocol: 'http/1.1' | 'h2') {
  const plain = connectPlain(8453, edge.address);
  plain.write(`PROXY TCP6 ${client} 2001:db8::1 40000 443\r\n`);
  const servername = 'app.example.com';
  const socket = connectTls({
    ...{ socket: plain, servername, ca: edge.authority, ALPNProtocols: [protocol] },
  });
  for (const each of [plain, socket]) each.on('error', () => undefined);
  t.teardown(() => plain.destroy());
  await once(socket, 'secureConnect');
  return socket;
}

t.test('one client holds as many requests as it may, and others are served', async (t) => {
  const refused: string[] = [];
  const sockets = await Promise.all(
    Array.from({ length: 80 }, (_, index) => household(t, `2001:db8:9::${index}`, 'http/1.1')),
  );
  for (const socket of sockets) {
    socket.on('data', (data) => refused.push(String(data)));
    socket.write('POST / HTTP/1.1\r\nHost: app.example.com\r\nContent-Length: 9000\r\n\r\nx');
  }
  await waitFor('those that are too many', async () => (refused.length >= 20 ? true : undefined));
  const answer = await edge.askOverIpv6('2001:db8:9::ff', '/');
  t.equal(answer.status, 429);
  t.match(answer.headers, { ...HEADERS, 'retry-after': '1' });
  t.match(answer.body, /<h1>Too many requests<\/h1>/);
  t.match(refused[0], /^HTTP\/1\.1 429 /);
  t.equal((await edge.askOverIpv6('2001:db8:9:1::1', '/')).status, 200, 'another household');
  t.equal(refused.length, 20);
  const line = await waitFor('the refusal in the log', async () =>
    (await edge.accessLog()).split('\n').find((text) => text.includes('"refused":"at-once"')),
  );
  t.match(JSON.parse(line), { status: 429, host: 'app.example.com', service: 'edge' });
  for (const socket of sockets) socket.destroy();
  await waitFor('room again', async () => {
    const again = Array.from({ length: 60 }, () => edge.askOverIpv6('2001:db8:9::1', '/gone/'));
    return (await Promise.all(again)).every(({ status }) => status === 502) ? true : undefined;
  });
  for (let count = 0; count < 70; count += 1) {
    const { status } = await edge.askOverIpv6('2001:db8:9::1', '/internal/');
    if (status !== 404) t.equal(status, 404, 'pages of errors leave nothing behind');
  }
});

t.test('one connection of HTTP/2 has 64 requests at most, of which each counts', async (t) => {
  const socket = await household(t, '2001:db8:a::1', 'h2');
  const session = connectHttp2('https://app.example.com', { createConnection: () => socket });
  const [settings] = await once(session, 'remoteSettings');
  t.equal(settings.maxConcurrentStreams, 64);
  const statuses: unknown[] = [];
  for (let count = 0; count < 64; count += 1) {
    const stream = session.request({ ':method': 'POST', ':path': '/', 'content-length': 9000 });
    stream.on('error', () => undefined).on('response', (head) => statuses.push(head[':status']));
    stream.write('x');
  }
  await waitFor('what is too much', async () => (statuses.length >= 4 ? true : undefined));
  t.equal((await edge.askOverIpv6('2001:db8:a::2', '/')).status, 429);
  t.same(statuses, [429, 429, 429, 429]);
  session.destroy();
});

t.test('an address of a proxy that is believed is no client', async (t) => {
  // This machine speaks as the relay does.
  const asked = Array.from({ length: 90 }, () => edge.ask('/', { headers: { 'x-delay': '2000' } }));
  t.same([...new Set((await Promise.all(asked)).map(({ status }) => status))], [200]);
});

t.test('a worker may have as many files open as its connections need', async (t) => {
  const [worker = ''] = await servingWorkers();
  const limits = await docker('exec', edge.container, 'cat', worker.replace('cmdline', 'limits'));
  t.match(limits, /^Max open files +8448 /m);
});

t.test('a line per request, for people and for the counters of the agent', async (t) => {
  await edge.ask('/api/secret-path?token=abc', { headers: { 'x-status': '503' } });
  await edge.ask('/internal/');
  const line = await waitFor('the request in the log', async () => {
    const all = (await edge.accessLog()).split('\n').filter(Boolean);
    return all.map((text) => JSON.parse(text)).find(({ status }) => status === 503);
  });
  const { time, ...rest } = line;
  t.match(rest, { host: 'app.example.com', service: 'api', seconds: Number, bytes: Number });
  t.match(rest, { path: '/api/secret-path', method: 'GET', upstream_status: '503' });
  t.ok(Math.abs(Date.parse(time) - Date.now()) < 60_000);
  const log = await edge.accessLog();
  t.match(log, /"status":404,.*"service":"edge"/);
  t.notMatch(log, 'token=abc');
  t.notMatch(log, 'evil.example.com');
  t.notMatch(await logsOf(edge.container), 'secret-path', 'the engine has no work with them');
});

t.test('the query of a request that fails stands in no log', async (t) => {
  const large = { method: 'POST', body: Buffer.alloc(2048) };
  const wrong = { headers: { authorization: `Basic ${Buffer.from('ann:x').toString('base64')}` } };
  for (const [status, path, question] of [
    [401, '/guarded/refused', wrong],
    [403, '/office/refused', {}],
    [413, '/api/refused', large],
    [502, '/gone/refused', {}],
  ] as const) {
    t.equal((await edge.ask(`${path}?token=of-the-query`, question)).status, status);
    await waitFor(`the line of ${path}`, async () =>
      (await edge.accessLog()).includes(`"path":"${path}"`) ? true : undefined,
    );
  }
  t.notMatch((await logsOf(edge.container)) + (await edge.accessLog()), 'of-the-query');
});

/** Those that take connections, by the names of their /proc files. */
async function servingWorkers(): Promise<string[]> {
  const find = "grep -lsxz 'nginx: worker process' /proc/[0-9]*/cmdline || true";
  const found = await docker('exec', edge.container, 'sh', '-c', find);
  return found.split('\n').filter((line) => line !== '');
}

t.test('reloads lose no request', async (t) => {
  const argv = ['nginx', '-c', '/etc/nginx/holdfast/nginx.conf', '-s', 'reload'];
  let isReloading = true;
  const statuses: number[] = [];
  const reloads = (async () => {
    try {
      for (let count = 0; count < 5; count += 1) {
        const before = statuses.length;
        await docker('exec', edge.container, ...argv);
        await waitFor('requests', async () => (statuses.length > before + 20 ? true : undefined));
      }
    } finally {
      isReloading = false;
    }
  })();
  const client = async () => {
    while (isReloading) {
      statuses.push((await edge.ask('/', { method: 'POST', body: 'x'.repeat(2000) })).status);
    }
  };
  await Promise.all([reloads, ...Array.from({ length: 4 }, client)]);
  t.same([...new Set(statuses)], [200]);
});

t.test('a log that was moved away is let go of, and a new one begun', async (t) => {
  const path = edge.accessLogPath;
  await rename(path, `${path}.old`);
  await docker('exec', edge.container, ...REOPEN_LOGS);
  const fresh = await waitFor('a line in the new log', async () => {
    await edge.ask('/');
    const log = await edge.accessLog().catch(() => '');
    return log === '' ? undefined : log;
  });
  t.match(fresh, '"service":"web"');
});

t.test('the life of a WebSocket does not count as answering time', async (t) => {
  const log = await readFile(`${edge.accessLogPath}.old`, 'utf8');
  const line = log.split('\n').find((text) => text.includes('"status":101'));
  t.ok(JSON.parse(line ?? '').seconds < 2);
});

t.test('counters and health answer inside the stack, the config is what nginx tests', async (t) => {
  const status = await docker('exec', edge.container, 'cat', '/etc/nginx/holdfast/nginx.conf');
  t.match(status, 'stub_status');
  const counters = await fetch(`http://${edge.address}:8081/stub_status`);
  t.match(await counters.text(), /^Active connections: \d+/);
  t.equal((await fetch(`http://${edge.address}:8081/other`)).status, 404);
  await docker('exec', edge.container, ...NGINX.test);
  const before = await servingWorkers();
  await docker('exec', edge.container, ...NGINX.reload);
  t.equal((await edge.ask('/')).status, 200, 'at once');
  t.strictSame(
    (await servingWorkers()).filter((one) => before.includes(one)),
    [],
    'a reload has ended when nobody serves the old configuration any more',
  );
  const said = await logsOf(edge.container);
  t.notMatch(said, /\[(warn|emerg)\]/);
});

t.test('a reload loses no request of clients that keep their connections', async (t) => {
  const target = {
    address: edge.address,
    port: 8443,
    host: 'app.example.com',
    ca: edge.authority,
  };
  const load = new Load(target, { gets: ['/', '/', '/a', '/b'], posts: 4, webSockets: 0 });
  for (let count = 0; count < 3; count += 1) {
    await docker('exec', edge.container, ...NGINX.reload);
    const { requests } = load;
    await waitFor('a hundred requests', async () =>
      load.requests > requests + 100 ? true : undefined,
    );
  }
  await load.stop();
  t.strictSame(Object.fromEntries(load.failures), {}, `${load.requests} requests`);
});

t.test(
  'the validator takes what we write, and says what is wrong with what we would not',
  async (t) => {
    const folder = t.testdir({});
    const { desired } = await edgeDesired(folder, CONFIG, ROUTES, { USERS: 'ann:s3cret' });
    await writeDesired(desired);
    const [validator] = desired.validators;
    if (validator === undefined || 'program' in validator) throw new Error('no validator');
    const { stack } = pathsUnder(folder);
    const config = { source: join(stack, validator.folder), target: validator.target };
    const command = validatorCommand({
      name: `holdfast-test-${randomUUID()}`,
      project: 'holdfast-test',
      validator,
      image: await builtImage('nginx'),
      mounts: [config, ...(validator.mounts ?? [])],
      services: [],
    });
    const host = new LocalHost();
    t.equal((await host.run(command)).exitCode, 0);
    await writeFile(
      join(config.source, 'hosts/zz.conf'),
      'server { listen 8443 ssl; }\nbogus on;\n',
    );
    const refused = await host.run(command).catch((error: unknown) => error);
    t.match(refused, { stderr: /unknown directive "bogus" .*zz\.conf:2/ });
  },
);

t.test('a WebSocket that was silent for 90 s, over the reloads, is still there', async (t) => {
  const { accepted, socket, since, isClosed } = await silent;
  t.match(accepted, /101/);
  await setTimeout(Math.max(0, since + 91_000 - Date.now()));
  t.notOk(isClosed());
  socket.write('still here');
  const [echo] = await once(socket, 'data', { signal: AbortSignal.timeout(60_000) });
  t.equal(String(echo), 'still here');
  socket.destroy();
});
