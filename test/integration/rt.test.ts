import { createHmac } from 'node:crypto';
import t from 'tap';
import { parse } from 'yaml';
import { loadConfig } from '../../installer/config/load.ts';
import { notYetApplied } from '../../installer/config/not-yet-applied.ts';
import type { Answer, Ask } from '../support/appliance.ts';
import { docker, outcome, until } from './support/docker.ts';
import { RT_SECRETS, RtLab } from './support/rt-lab.ts';
import { buildBroken } from './support/stand-ins.ts';

const API = 'https://api.rt-technologie.com';
interface Written {
  readonly services: Readonly<
    Record<
      string,
      { readonly port: number; readonly routes: readonly { host: string; path: string }[] }
    >
  >;
}

const lab = await RtLab.start();
t.teardown(() => lab.remove());
const { appliance, bucket } = lab;
const { services } = parse(lab.text) as Written;

async function containerIds(): Promise<string[]> {
  const all = await lab.containers();
  return all.map(({ name, id, startedAt }) => `${name} ${id} ${startedAt}`).sort();
}

/** What a stand-in says of itself and of the request. */
async function echo(url: string, ask: Ask = {}) {
  const { status, body } = await appliance.ask(url, ask);
  return status === 200 ? JSON.parse(body) : { status };
}

await t.test('each service answers on each of its routes, with its path kept', async (t) => {
  t.equal(Object.keys(services).length, 24, 'seventeen back ends, seven fronts with a server');
  for (const [name, { port, routes }] of Object.entries(services)) {
    for (const { host, path } of routes) {
      const url = `${path}deep/link%20x?a=b&c=%2F`;
      t.match(await echo(`https://${host}${url}`), { name, port, url }, `${host}${path}`);
      if (path !== '/') {
        const bare = path.slice(0, -1);
        t.match(await echo(`https://${host}${bare}`), { name, url: bare }, `${host}${bare}`);
        t.match(await echo(`https://${host}${bare}x`), { status: 404 }, `${bare}x is nobody’s`);
      }
    }
  }
  t.match(await echo(`${API}/`), { status: 404 }, 'the API host has no first page');
  t.match(await echo(`${API}/metrics`), { status: 404 });
});

await t.test('both replicas answer; what a client claims of itself is dropped', async (t) => {
  const forged = { 'x-forwarded-for': '6.6.6.6', 'x-real-ip': '6.6.6.6', forwarded: 'for=6.6.6.6' };
  const replicas = new Set<string>();
  for (let index = 0; index < 40 && replicas.size < 2; index += 1) {
    const { replica, headers } = await echo(`${API}/auth/me`, { headers: forged });
    replicas.add(replica);
    t.notMatch(JSON.stringify(headers), /6\.6\.6\.6/);
    t.match(headers, {
      'x-forwarded-proto': 'https',
      'x-forwarded-host': 'api.rt-technologie.com',
    });
  }
  t.equal(replicas.size, 2);
  const upgrade = { connection: 'upgrade', upgrade: 'websocket' };
  const { headers } = await echo(`${API}/auth/me`, { headers: upgrade });
  t.notOk(headers.upgrade, 'no route of RT is for WebSockets');
});

await t.test('two fronts are files: deep links, hashed assets, and what is missing', async (t) => {
  for (const [host, name, asset] of [
    ['driver.rt-technologie.com', 'Driver', 'index-Dr1v3rA9.js'],
    ['kiosk.rt-technologie.com', 'Kiosk', 'index-K10sk4f2.js'],
  ] as const) {
    const page = await appliance.ask(`https://${host}/`);
    t.match(page, { status: 200, headers: { 'cache-control': 'no-cache' }, body: `<h1>${name}` });
    t.match(await appliance.ask(`https://${host}/tours/7?x=1`), { status: 200, body: page.body });
    t.match(await appliance.ask(`https://${host}/assets/${asset}`), {
      status: 200,
      headers: { 'cache-control': 'public, max-age=31536000, immutable' },
    });
    for (const path of ['/assets/index-gone1234.js', '/robots.txt', '/.env']) {
      const missing = await appliance.ask(`https://${host}${path}`);
      t.equal(missing.status, 404, path);
      t.notMatch(missing.body, `<h1>${name}`, `${path} is not the first page`);
    }
  }
});

await t.test('headers on every host, with errors too; TLS 1.3 only; HTTP goes there', async (t) => {
  const hosts = new Set(Object.values(services).flatMap(({ routes }) => routes.map((r) => r.host)));
  hosts.add('driver.rt-technologie.com').add('kiosk.rt-technologie.com');
  for (const host of hosts) {
    for (const path of ['/', '/metrics', '/%00']) {
      const { headers } = await appliance.ask(`https://${host}${path}`);
      const label = `${host}${path}`;
      t.equal(headers['x-frame-options'], 'DENY', label);
      t.equal(headers['x-content-type-options'], 'nosniff', label);
      t.equal(headers['strict-transport-security'], 'max-age=31536000; includeSubDomains', label);
    }
  }
  const curl = (...more: string[]) =>
    outcome(['curl', '--silent', '--noproxy', '*', '--insecure', ...more]);
  const connect = ['--connect-to', '::127.0.0.1:'];
  t.equal((await curl(...connect, '--tls-max', '1.2', `${API}/auth/`)).code, 35, 'no TLS 1.2');
  t.equal((await curl(...connect, `${API}/auth/`)).code, 0);
  t.equal((await curl(...connect, 'https://nobody.rt-technologie.com/')).code, 35, 'no such host');
  const plain = await curl(...connect, '--head', 'http://api.rt-technologie.com/auth/x?a=b');
  t.match(plain.stdout, new RegExp(`301[\\s\\S]*location: ${API}/auth/x\\?a=b`, 'i'));
});

await t.test('back ends reach the others by name, a front is told of none', async (t) => {
  const script = `const asks = Object.entries(process.env).filter(([key]) => key.endsWith('_URL') && key !== 'PUBLIC_API_URL')
    .map(async ([, url]) => (await (await fetch(url)).json()).name);
    Promise.all(asks).then((names) => console.log(names.sort().join(' ')));`;
  const said = await docker('exec', 'rt-admin-gateway_a-1', 'node', '-e', script);
  const others = Object.keys(services).filter((name) => name !== 'admin-gateway');
  t.equal(said, others.sort().join(' '));
  const front = await docker('exec', 'rt-web-industry_a-1', 'env');
  t.notMatch(front, /^(AUTHZ_URL|JWT_SECRET|MONGODB_URI)=/m, 'nor has it a secret of theirs');
  const uri = `require('node:net').connect(27017, 'mongodb').on('connect', () => { console.log('reached'); process.exit(); }).on('error', (error) => console.log(error.code));`;
  t.equal(await docker('exec', 'rt-authz_a-1', 'node', '-e', uri), 'reached');
  t.match(await docker('exec', 'rt-tms-sync_a-1', 'node', '-e', uri), /ENOTFOUND|EAI_AGAIN/);
});

await t.test('an upload of 10 MiB passes, one byte more does not', async (t) => {
  const limit = 10 * 1024 ** 2;
  const upload = (bytes: number): Promise<Answer> =>
    appliance.ask(`${API}/api/orders/scan`, {
      method: 'POST',
      headers: { 'content-type': 'application/octet-stream' },
      body: Buffer.alloc(bytes, 1),
    });
  t.match(JSON.parse((await upload(limit)).body), { bytes: limit });
  t.equal((await upload(limit + 1)).status, 413);
});

await t.test('attacks are refused, ordinary requests of every method are not', async (t) => {
  for (const query of [`id=1'+OR+'1'='1'--+-`, 'q=%3Cscript%3Ealert(1)%3C/script%3E']) {
    t.match(await echo(`${API}/api/orders/?${query}`), { status: 403 }, query);
  }
  const body = JSON.stringify({ name: "x' UNION SELECT password FROM users-- -" });
  const json = { 'content-type': 'application/json' };
  const attack = { method: 'POST', headers: json, body };
  t.match(await echo(`${API}/api/orders/`, attack), { status: 403 }, 'in a body');
  for (const method of ['POST', 'PUT', 'PATCH', 'DELETE']) {
    const ask = { method, headers: json, body: JSON.stringify({ name: 'Zoë O’Neil', total: 12 }) };
    t.match(await echo(`${API}/api/orders/7`, ask), { method, name: 'core-orders' });
  }
});

await t.test('a front of RT may call the API, another origin may not', async (t) => {
  const preflight = (origin: string) =>
    appliance.ask(`${API}/api/orders/`, {
      method: 'OPTIONS',
      headers: { origin, 'access-control-request-method': 'PUT' },
    });
  const own = 'https://industry.rt-technologie.com';
  t.match(await preflight(own), { status: 204, headers: { 'access-control-allow-origin': own } });
  const other = await preflight('https://rt-technologie.com.evil.example');
  t.notOk(other.headers['access-control-allow-origin']);
});

await t.test('the CDN asks its bucket once', async (t) => {
  const image = 'https://cdn-img.rt-technologie.com/logo.svg';
  t.match(await appliance.ask(image), { body: '<svg/>', headers: { 'x-cache-status': 'MISS' } });
  t.match(await appliance.ask(image), { body: '<svg/>', headers: { 'x-cache-status': 'HIT' } });
  // The apply has asked for the buckets themselves, to set what the config wants of them.
  const objects = bucket.asked.filter((path) => !/\/(\?.*)?$/.test(path));
  t.strictSame(objects, ['/rt-prod-images/logo.svg']);
  const unsigned = await appliance.ask('https://cdn-docs.rt-technologie.com/contract.pdf');
  t.equal(unsigned.status, 403, 'documents only by a signed URL');
});

await t.test('applying again changes nothing; what is not applied yet is said', async (t) => {
  const before = await containerIds();
  const again = await lab.run('apply', '--yes');
  t.match(again, { exitCode: 0, stdout: /Nothing to do/ }, again.stdout.slice(-2000));
  t.strictSame(await containerIds(), before);
  const plan = await lab.run('plan');
  t.equal(plan.exitCode, 0);
  const loaded = loadConfig(lab.text, 'config.yaml');
  if (!loaded.ok) throw new Error('the config is not valid');
  for (const { path, issue } of notYetApplied(loaded.config)) {
    t.match(plan.stdout, `${path}: accepted, not yet applied (${issue})`);
  }
});

await t.test(
  'a release that does not start leaves the one before; nginx stays small',
  async (t) => {
    const broken = await buildBroken('authz', '1.0.1', 'cannot find module jose');
    const failed = await lab.run('deploy', 'authz', broken, '--yes');
    t.equal(failed.exitCode, 11, failed.stderr);
    t.match(failed.stderr, /cannot find module jose/);
    t.match(await echo('https://auth.rt-technologie.com/login'), { name: 'authz', port: 3007 });
    const after = await lab.run('plan');
    t.equal(after.exitCode, 0, after.stdout);
    // What earlier reloads left behind goes once its last connection has ended.
    await until('nginx holds 60 MiB at most', 80, async () => {
      return (await lab.nginxMemory()) <= 60 * 1024 ** 2;
    });
  },
);

/** What limits say nothing of was not counted: Redis had not answered in time, and these are open then. */
type Counted = 'passed' | 'refused' | 'not counted' | 'else';

/** What became of so many requests, some of them at a time: a slow machine must not take a minute. */
async function burst(count: number, ...more: string[]): Promise<Readonly<Record<Counted, number>>> {
  const { stdout } = await outcome([
    ...([
      'curl',
      '--silent',
      '--noproxy',
      '*',
      '--insecure',
      '--connect-to',
      '::127.0.0.1:',
    ] as const),
    ...['--parallel', '--parallel-max', '8', '--output', '/dev/null'],
    ...['--write-out', '%{http_code} %header{ratelimit}\n', ...more],
    `${API}/auth/me?[1-${count}]`,
  ]);
  const found = { passed: 0, refused: 0, 'not counted': 0, else: 0 };
  for (const line of stdout.trim().split('\n')) {
    const [status, limits = ''] = line.split(' ', 2);
    if (status === '429') found.refused += 1;
    else if (status !== '200') found.else += 1;
    else if (limits === '') found['not counted'] += 1;
    else found.passed += 1;
  }
  return found;
}

await t.test('100 requests a minute for a user, 1000 for an address', async (t) => {
  const part = (value: object) => Buffer.from(JSON.stringify(value)).toString('base64url');
  const token = (sub: string) => {
    const signed = `${part({ alg: 'HS256', typ: 'JWT' })}.${part({ sub, exp: 4102444800 })}`;
    return `${signed}.${createHmac('sha256', RT_SECRETS.JWT_SECRET).update(signed).digest('base64url')}`;
  };
  const of = (sub: string) => ['--header', `Authorization: Bearer ${token(sub)}`];
  const begun = Date.now();
  /** A window of a minute slides on while a slow machine is still asking. */
  const most = (limit: number): number => limit * Math.ceil((Date.now() - begun) / 60_000);
  const ada = await burst(160, ...of('ada'));
  t.equal(ada.else, 0);
  t.ok(ada.passed <= most(100), JSON.stringify(ada));
  // Who was not told of a limit may have been counted: Redis heard him and its answer came too late.
  t.ok(ada.passed + ada['not counted'] >= 100, JSON.stringify(ada));
  t.ok(ada.refused > 0, JSON.stringify(ada));
  t.match(await burst(1, ...of('grace')), { refused: 0, else: 0 }, 'another user');
  const anybody = await burst(1100);
  // What a user may do bounds nobody who shows no token: people behind one address share its 1000.
  t.ok(anybody.passed + anybody['not counted'] > most(100), JSON.stringify(anybody));
  t.ok(ada.passed + anybody.passed <= most(1000), 'what the others had left of 1000');
  t.equal(anybody.refused, 1100 - anybody.passed - anybody['not counted']);
  // The window slides: a place may have become free meanwhile.
  const refused = await until('a refusal', 10, async () => {
    const answer = await appliance.ask(`${API}/auth/me`);
    return answer.status === 429 ? answer : undefined;
  });
  t.ok(Number(refused.headers['retry-after']) > 0);
});
