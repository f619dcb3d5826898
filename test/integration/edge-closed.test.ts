import { randomUUID } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { PutObjectCommand, S3Client } from '@aws-sdk/client-s3';
import t from 'tap';
import { commandTable } from '../../installer/cli/table.ts';
import { edgeFolders } from '../../installer/components/nginx/places.ts';
import { LocalHost } from '../../installer/host/local.ts';
import { pathsUnder } from '../../installer/model/paths.ts';
import { runCommand } from '../support/cli.ts';
import { builtImage, docker } from '../support/containers.ts';
import { type Question, routeTo, TestEdge } from '../support/edge.ts';
import { FakeEngine } from '../support/fake-engine.ts';
import { MemoryHost } from '../support/memory-host.ts';
import { outcome, until } from './support/docker.ts';
import { startRadosgw } from './support/radosgw.ts';

t.setTimeout(1_200_000);

const CONFIG = `
domain: app.example.com
services:
  web: { image: "a:1", port: 3000, routes: [{ path: / }, { path: /guarded/, basicAuth: USERS }] }
  api: { image: "a:1", port: 3001, routes: [{ path: /api/ }] }
http:
  realIp: cloudflare
  denyPaths: [/internal/]
  cors: { allowOrigins: ["https://front.example.com"] }
firewall: { fail2ban: { nginxHttpAuth: { maxRetry: 5 } } }
storage:
  providers:
    store: { kind: s3, endpoint: "http://s3:7480", secretRef: STORE }
    wrong: { kind: s3, endpoint: "http://s3:7480", secretRef: WRONG }
  buckets:
    files: { provider: store, name: backups, private: false }
    closed: { provider: store, name: backups }
    refused: { provider: wrong, name: backups }
edgeCache:
  - { host: cdn.example.com, origin: "http://origin:3000/base" }
  - { host: short.example.com, origin: "http://origin:3000", ttl: 1 }
  - { host: files.example.com, origin: "bucket:files" }
  - { host: closed.example.com, origin: "bucket:closed" }
  - { host: refused.example.com, origin: "bucket:refused" }
  - { host: signed.example.com, origin: "bucket:closed", signedUrls: true }
`;
const ROUTES = [
  routeTo('web', 3000, { path: '/' }),
  routeTo('web', 3000, { path: '/guarded/' }),
  routeTo('api', 3001, { path: '/api/' }),
  routeTo('origin', 3000, { host: 'origin.example.com' }),
];

const store = await startRadosgw(t);
const secrets = {
  USERS: 'ann:s3cret',
  STORE_ACCESS_KEY_ID: store.accessKeyId,
  STORE_SECRET_ACCESS_KEY: store.secretAccessKey,
  WRONG_ACCESS_KEY_ID: store.accessKeyId,
  WRONG_SECRET_ACCESS_KEY: 'another-key-5d01',
};
const edge = await TestEdge.start(CONFIG, ROUTES, secrets, { relayed: true });
t.teardown(() => edge.stop());
const [edgeNetwork = ''] = Object.keys(
  JSON.parse(
    await docker('inspect', '--format', '{{json .NetworkSettings.Networks}}', edge.container),
  ),
);
await docker('network', 'connect', '--alias', 's3', edgeNetwork, store.container);
t.teardown(() => docker('network', 'disconnect', '--force', edgeNetwork, store.container));
const s3 = new S3Client({
  region: 'us-east-1',
  endpoint: store.endpoint,
  forcePathStyle: true,
  credentials: store,
  requestChecksumCalculation: 'WHEN_REQUIRED',
});
t.teardown(() => s3.destroy());
const put = (Key: string, Body: string, ACL: 'public-read' | 'private') =>
  s3.send(new PutObjectCommand({ Bucket: store.bucket, Key, Body, ACL }));
const paths = pathsUnder(edge.folder);

/** Shows the edge's nginx where it is. */
class EdgeEngine extends FakeEngine {
  override async containers(labels: Readonly<Record<string, string>>) {
    return (await super.containers(labels)).map((one) =>
      one.service === 'nginx' ? { ...one, addresses: { edge: edge.address } } : one,
    );
  }
}

const server = { host: new LocalHost(), engine: new EdgeEngine(new MemoryHost().effects) };
server.engine.addImage('a:1');
for (const service of ['nginx', 'api']) {
  const { id } = server.engine.create({
    ...{ name: `app-${service}-1`, service, image: 'a:1', checked: false, memoryLimit: 0 },
    ...{ networks: [], labels: { 'io.holdfast.project': 'app' } },
  });
  server.engine.start(id);
}
await server.host.write(join(paths.stack, 'agent/agent.json'), '{"project":"app"}', {
  mode: 0o644,
  uid: 0,
  gid: 0,
});

/** Runs a command on this machine, with the edge's folders. */
async function holdfast(...argv: string[]) {
  const done = await runCommand(argv, commandTable, { server, more: { paths } });
  if (done.exitCode !== 0) throw new Error(done.stderr);
  return done.stdout;
}

/** What the cache did, the status, and which request it was that reached the origin. */
async function fetched(host: string, path: string, question: Question = {}) {
  const { status, headers, body } = await edge.ask(path, { host, ...question });
  const seen = status === 200 && body.startsWith('{') ? JSON.parse(body) : undefined;
  return {
    status,
    cache: headers['x-cache-status'],
    url: seen?.url,
    request: seen?.headers['x-request-id'],
    headers,
    body,
  };
}
const cdn = (path: string, question?: Question) => fetched('cdn.example.com', path, question);

t.test('an answer is kept by host, path and query, and its origin asked once', async (t) => {
  const first = await cdn('/a?size=1');
  t.match(first, { status: 200, cache: 'MISS', url: '/base/a?size=1' });
  t.match(await cdn('/a?size=1'), { cache: 'HIT', request: first.request });
  t.match(await cdn('/a?size=2'), { cache: 'MISS', url: '/base/a?size=2' });
  t.match(await fetched('short.example.com', '/a?size=1'), { cache: 'MISS', url: '/a?size=1' });
  t.match(first.headers, { 'x-content-type-options': 'nosniff' });
});

t.test('what belongs to one person is never kept', async (t) => {
  for (const headers of [{ authorization: 'Bearer x' }, { cookie: 'session=1' }]) {
    const one = await cdn('/own', { headers });
    const two = await cdn('/own', { headers });
    t.match([one, two], [{ cache: 'BYPASS' }, { cache: 'BYPASS' }]);
    t.not(one.request, two.request);
  }
  t.match(await cdn('/own'), { cache: 'MISS' }, 'nor given to others');
  for (const [path, answer] of [
    ['/cookie', { 'set-cookie': 'a=b' }],
    ['/private', { 'cache-control': 'private, max-age=60' }],
    ['/no-store', { 'cache-control': 'no-store' }],
  ] as const) {
    const headers = { 'x-answer': JSON.stringify(answer) };
    t.match(await cdn(path, { headers }), { cache: 'MISS' });
    t.match(await cdn(path, { headers }), { cache: 'MISS' }, path);
  }
  t.match(await cdn('/errors', { headers: { 'x-status': '500' } }), { status: 500 });
  t.match(await cdn('/errors'), { status: 200, cache: 'MISS' }, 'a failure is not kept');
});

t.test('ranges come out of what is kept; nothing but reading is passed on', async (t) => {
  const whole = await cdn('/range', { headers: { range: 'bytes=0-3' } });
  t.match(whole, { status: 206, cache: 'MISS', body: /^.{4}$/ });
  t.match(await cdn('/range', { headers: { range: 'bytes=2-5' } }), { status: 206, cache: 'HIT' });
  t.match(await cdn('/range'), { status: 200, cache: 'HIT', url: '/base/range' });
  for (const method of ['POST', 'PUT', 'DELETE'])
    t.equal((await cdn('/a', { method })).status, 405);
});

t.test('nothing that one client makes up is in the answer for all', async (t) => {
  const names = [
    ...['x-forwarded-for', 'x-forwarded-host', 'x-forwarded-proto', 'x-forwarded-port'],
    ...['x-real-ip', 'forwarded', 'cf-connecting-ip', 'true-client-ip', 'x-forwarded-prefix'],
    ...['x-original-url', 'x-rewrite-url', 'x-host', 'x-forwarded-scheme', 'content-type'],
  ];
  const headers = Object.fromEntries(names.map((name) => [name, 'evil.example']));
  const poisoned = await cdn('/poison', { headers, body: 'a body' });
  t.match(poisoned, { status: 200, cache: 'MISS', url: '/base/poison' });
  t.notMatch(poisoned.body, 'evil.example');
  const seen = JSON.parse(poisoned.body);
  t.equal(seen.body, 0, 'nor a body');
  for (const name of [...names, 'content-length']) t.notOk(seen.headers[name], name);
});

t.test('paths that are closed on every host are closed in the cache', async (t) => {
  for (const host of ['cdn.example.com', 'files.example.com', 'closed.example.com']) {
    for (const path of ['/internal/x', '/Internal', '/metrics', '/METRICS/x'])
      t.match(await fetched(host, path), { status: 404, body: /Not found/ }, `${host}${path}`);
    t.match(await fetched(host, '/x/..%2f..%2fy'), { status: 400, body: /Bad request/ }, host);
  }
});

t.test('pages of other origins read the cache as they read a service', async (t) => {
  const origin = 'https://front.example.com';
  const own = { 'x-answer': JSON.stringify({ 'Access-Control-Allow-Origin': '*' }) };
  for (const cache of ['MISS', 'HIT']) {
    const answer = await cdn('/font', { headers: { ...own, origin } });
    t.match(answer, { cache, headers: { 'access-control-allow-origin': origin } }, 'once');
  }
  const stranger = await cdn('/font', { headers: { origin: 'https://evil.example' } });
  t.notOk(stranger.headers['access-control-allow-origin']);
  const preflight = { origin, 'access-control-request-method': 'GET' };
  t.match(await cdn('/font', { method: 'OPTIONS', headers: preflight }), {
    status: 204,
    headers: { 'access-control-allow-origin': origin, 'access-control-allow-methods': /GET/ },
  });
});

t.test('emptied, the cache asks its origin again', async (t) => {
  const before = await cdn('/a?size=1');
  t.equal(before.cache, 'HIT');
  t.match(await holdfast('cache', 'purge', 'cdn.example.com'), 'cdn.example.com: emptied');
  const after = await cdn('/a?size=1');
  t.match(after, { status: 200, cache: 'MISS' });
  t.not(after.request, before.request);
  await t.rejects(holdfast('cache', 'purge', 'nobody.example.com'), /There is no edge cache/);
});

t.test('the log says what the cache did', async (t) => {
  await until('a line', 10, async () => (await edge.accessLog()).includes('"cache":"HIT"'));
  const lines = (await edge.accessLog())
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line));
  const hit = lines.find(({ cache }) => cache === 'HIT');
  t.match(hit, { host: 'cdn.example.com', service: 'edge-cache' });
});

t.test('maintenance: a page with 503 for everybody but guests, without a reload', async (t) => {
  const before = await docker('exec', edge.container, 'cat', '/proc/1/stat');
  await holdfast('maintenance', 'on', '--message', 'Back at noon & soon');
  const closed = await edge.ask('/');
  t.match(closed, {
    status: 503,
    body: /Back at noon &amp; soon/,
    headers: { 'retry-after': '300', 'cache-control': 'no-store', 'x-maintenance': 'on' },
  });
  t.match(await edge.ask('/api/x', { method: 'POST', body: 'x' }), { status: 503 });
  t.match(await edge.ask('/a?size=1', { host: 'cdn.example.com' }), { status: 503 });
  t.match(await edge.ask('/', { plain: true }), { status: 301 }, 'port 80 goes on as before');
  t.equal((await edge.ask('/.holdfast/maintenance.html')).status, 503, 'nor is it a way in');
  const gateway = '{{range .NetworkSettings.Networks}}{{.Gateway}}{{end}}';
  const address = await docker('inspect', '--format', gateway, edge.container);
  await holdfast('maintenance', 'on', '--allow-from', address);
  t.equal((await edge.ask('/')).status, 200, 'a guest sees the product');
  await holdfast('maintenance', 'on');
  t.equal((await edge.ask('/')).status, 503, 'and leaves with the next word');
  await holdfast('maintenance', 'off');
  t.equal((await edge.ask('/')).status, 200);
  t.equal((await edge.ask('/.holdfast/maintenance.html')).status, 404);
  const after = await docker('exec', edge.container, 'cat', '/proc/1/stat');
  t.equal(after.split(' ')[21], before.split(' ')[21], 'the same nginx');

  await holdfast('maintenance', 'on');
  await docker('restart', edge.container);
  const first = await until('an answer', 30, async () => edge.ask('/').catch(() => undefined));
  t.equal(first.status, 503, 'a start of nginx opens nothing');
  await holdfast('maintenance', 'off');
  t.equal((await edge.ask('/')).status, 200);
});

t.test('maintenance of one service leaves the others alone', async (t) => {
  const run = (...argv: string[]) => runCommand(argv, commandTable, { server, more: { paths } });
  t.match(await run('maintenance', 'on', '--service', 'nothing'), {
    stderr: /usage\/unknown-service/,
  });
  const on = await run('maintenance', 'on', '--service', 'api', '--message', 'The API rests');
  t.match(on, { exitCode: 0, stdout: /maintenance is on for api/ }, on.stderr);
  t.match(await edge.ask('/api/x'), { status: 503, body: /The API rests/ });
  t.equal((await edge.ask('/')).status, 200, 'the other service serves');
  t.match(await run('maintenance', 'off', '--service', 'api'), { stdout: 'maintenance is off\n' });
  t.equal((await edge.ask('/api/x')).status, 200);
});

t.test(
  'the address that Cloudflare names is believed from Cloudflare, and from nobody else',
  async (t) => {
    const forged = {
      'cf-connecting-ip': '203.0.113.9',
      'x-forwarded-for': '203.0.113.9',
      'x-real-ip': '203.0.113.9',
    };
    const { body } = await edge.ask('/', { headers: forged });
    t.notMatch(body, '203.0.113.9', 'forged');
    const seen = JSON.parse(body).headers;
    t.equal(seen['cf-connecting-ip'], seen['x-real-ip'], 'whom a service asks by that name');

    // A network of this test with addresses of Cloudflare's.
    const network = `holdfast-test-cloudflare-${randomUUID()}`;
    await docker('network', 'create', '--internal', '--subnet', '131.0.72.240/28', network);
    t.teardown(async () => {
      await docker('network', 'disconnect', '--force', network, edge.container);
      await docker('network', 'rm', network);
    });
    await docker('network', 'connect', network, edge.container);
    const address = await docker(
      ...['inspect', '--format'],
      `{{(index .NetworkSettings.Networks "${network}").IPAddress}}`,
      edge.container,
    );
    const program = `
    require('node:https').get({
      host: '${address}', port: 8443, path: '/', servername: 'app.example.com', rejectUnauthorized: false,
      headers: { host: 'app.example.com', ...${JSON.stringify(forged)}, 'x-forwarded-for': '198.51.100.7' },
    }, (answer) => answer.pipe(process.stdout));
  `;
    const image = await builtImage('node');
    const answer = await docker('run', '--rm', '--network', network, image, 'node', '-e', program);
    const { headers } = JSON.parse(answer);
    t.equal(headers['x-real-ip'], '203.0.113.9', 'what Cloudflare says');
    t.equal(headers['cf-connecting-ip'], '203.0.113.9');
    t.equal(headers['x-forwarded-for'], '203.0.113.9', 'and not what its client made up');

    // The relay brings Cloudflare's connections to one door and everybody else's to another.
    const seenOverIpv6 = async (client: string, door: number): Promise<unknown> => {
      const { body: said } = await edge.askOverIpv6(client, '/', { headers: forged, door });
      return JSON.parse(said).headers['x-real-ip'];
    };
    t.equal(await seenOverIpv6('2606:4700::9', 8454), '203.0.113.9', 'what Cloudflare says');
    t.equal(await seenOverIpv6('2001:db8::9', 8453), '2001:db8::9', 'forged');
  },
);

t.test('a wrong password is written down for fail2ban, and nothing else', async (t) => {
  const basic = (text: string) => ({
    authorization: `Basic ${Buffer.from(text).toString('base64')}`,
  });
  t.equal((await edge.ask('/guarded/')).status, 401, 'a browser asks first without one');
  t.equal((await edge.ask('/guarded/', { headers: basic('ann:s3cret') })).status, 200);
  t.equal(
    (await edge.ask('/api/x', { headers: { 'x-status': '401', ...basic('a:b') } })).status,
    401,
  );
  t.equal((await edge.ask('/guarded/', { headers: basic('ann:guess') })).status, 401);
  const log = () => readFile(join(edgeFolders(paths).logs, 'refused.log'), 'utf8');
  await until('a line', 10, log);
  t.match(await log(), /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d[+-]\d\d:\d\d [\d.]+ 401\n$/);

  const networks = {
    '2001:db8:1:2:3:4:5:6': '2001:db8:1:2::',
    '2001:db8:1:2::7': '2001:db8:1:2::',
    '2001:db8:1::7': '2001:db8:1::',
    '2001:db8::1:2:3:4': '2001:db8::',
    '2001::5:1:2:3:4': '2001:0:0:5::',
  };
  for (const client of Object.keys(networks)) {
    const question = { headers: basic('ann:guess'), door: 8453 };
    t.match(await edge.askOverIpv6(client, '/guarded/', question), { status: 401 });
  }
  const written = async () => (await log()).split('\n').slice(1, -1);
  await until('all', 10, async () => (await written()).length === 5);
  const addresses = (await written()).map((line) => line.split(' ')[1]);
  t.strictSame(
    addresses,
    Object.values(networks),
    'of IPv6 the network that has all the addresses',
  );
});

t.test('a private bucket is read with its key, whatever an object is called', async (t) => {
  const closed = (path: string, question?: Question) =>
    fetched('closed.example.com', path, question);
  for (const [key, path] of [
    ['plain.txt', '/plain.txt'],
    ['a folder/käse (1).txt', '/a%20folder/k%C3%A4se%20(1).txt'],
    ["it's+a*~b&c=d,e@f:g!.txt", "/it's+a*~b&c=d,e@f:g!.txt"],
    ['hundred%20.txt', '/hundred%2520.txt'],
    ['two//slashes', '/two//slashes'],
  ] as const) {
    await put(key, `of ${key}`, 'private');
    t.match(await closed(path, { method: 'HEAD' }), { status: 200, cache: 'MISS' }, key);
    t.match(await closed(`${path}?acl`), { status: 200, cache: 'HIT', body: `of ${key}` }, key);
    t.match(await closed(path, { headers: { range: 'bytes=0-1' } }), { status: 206, body: 'of' });
  }
  const spelled = await closed('/%70lain%2Etxt', { headers: { authorization: 'Bearer x' } });
  t.match(spelled, { status: 200, body: 'of plain.txt' }, 'the password of another is dropped');
  t.equal((await closed('/none.txt')).status, 404);
  t.equal((await closed('/')).status, 404, 'no list');
  for (const path of ['/a/../../backups/plain.txt', '/a%2F..%2F..%2Fplain.txt', '/..%5cplain.txt'])
    t.match(await closed(path), { status: /^40[04]$/ }, path);
});

t.test('the key of a bucket is shown to nobody', async (t) => {
  const refused = await fetched('refused.example.com', '/plain.txt');
  t.match(refused, { status: 403, body: /Not allowed/ });
  t.notMatch(refused.body, store.accessKeyId, 'as the store itself would have said');
  const { secretAccessKey } = store;
  const found = await docker(
    ...['exec', edge.container, 'sh', '-c'],
    `grep -rlF -e '${secretAccessKey}' /etc/nginx /run /var/log/nginx /proc/1/environ /proc/1/cmdline | xargs stat -c '%a %u %n'`,
  );
  t.equal(found, '400 101 /etc/nginx/certificates/buckets.secrets.json');
  const said = await outcome(['docker', 'logs', edge.container]);
  t.notMatch(said.stdout + said.stderr, secretAccessKey);
  t.notMatch(await docker('inspect', edge.container), secretAccessKey);
});

interface Presigner {
  presign(request: object, options: object): Promise<{ query?: Record<string, unknown> }>;
}

t.test('a host of signed URLs answers what was signed for, in its time', async (t) => {
  const signed = (url: string, question?: Question) => fetched('signed.example.com', url, question);
  // The SDK's own, by which an app signs; its type names the signing of whole requests only.
  const signer = (await s3.config.signer()) as unknown as Presigner;
  const sign = async (path: string, expiresIn: number, since = 0, host = 'signed.example.com') => {
    const { query } = await signer.presign(
      {
        ...{ method: 'GET', protocol: 'https:', hostname: host, path },
        headers: { host, 'x-amz-content-sha256': 'UNSIGNED-PAYLOAD' },
        query: { 'x-id': 'GetObject' },
      },
      { expiresIn, signingDate: new Date(Date.now() - since * 1000), signingService: 's3' },
    );
    const pairs = Object.entries(query ?? {}).map(([name, value]) => [name, String(value)]);
    return `${path}?${pairs.map((pair) => pair.map(encodeURIComponent).join('=')).join('&')}`;
  };
  await put('contract 1.pdf', 'signed', 'private');
  const path = '/contract%201.pdf';
  const url = await sign(path, 3600);
  t.match(await signed(url), { status: 200, cache: 'MISS', body: 'signed' });
  const later = await sign(path, 1800, 60);
  t.match(await signed(later), { status: 200, cache: 'HIT', body: 'signed' }, 'one copy for all');
  for (const [why, other] of [
    ['nothing signed', path],
    ['expired', await sign(path, 60, 120)],
    ['of tomorrow', await sign(path, 60, -86_400)],
    ['another object', url.replace('contract%201', 'plain')],
    ['another host', await sign(path, 60, 0, 'closed.example.com')],
    ['a longer time', url.replace('Expires=3600', 'Expires=7200')],
    ['another signature', url.replace(/Signature=.{4}/, 'Signature=0000')],
    ['twice a name', `${url}&X-Amz-Expires=9`],
    ['one name more', `${url}&acl=`],
  ] as const) {
    t.match(await signed(other), { status: 403, body: /Not allowed/ }, why);
  }
  t.equal((await signed(url, { method: 'HEAD' })).status, 403, 'nor for another method');
});

t.test(
  'objects of a bucket, and no list of them; stale ones while the store is down',
  async (t) => {
    await put('a folder/käse.txt', 'cheese', 'public-read');
    await put('hidden.txt', 'secret', 'private');
    const files = (path: string, question?: Question) =>
      fetched('files.example.com', path, question);
    const path = '/a%20folder/k%C3%A4se.txt';
    t.match(await files(path), { status: 200, cache: 'MISS', body: 'cheese' });
    t.match(await files(path, { headers: { cookie: 'theme=dark' } }), {
      cache: 'HIT',
      body: 'cheese',
    });
    t.match(
      await files(`${path}?acl`),
      { status: 200, body: 'cheese' },
      'a query asks for no more',
    );
    t.equal((await files('/hidden.txt')).status, 403);
    t.equal((await files('/')).status, 404);
    t.equal((await files('/?list-type=2')).status, 404);
    const short = () => fetched('short.example.com', '/stale');
    t.equal((await short()).cache, 'MISS');
    const origin = [...edge.replicaIds].find(([name]) => name.includes('-origin-'))?.[1] ?? '';
    await docker('stop', '--time', '1', origin);
    await until('the time is over', 20, async () => (await short()).cache !== 'HIT');
    t.match(await short(), { status: 200, cache: /STALE|UPDATING/ });
  },
);
