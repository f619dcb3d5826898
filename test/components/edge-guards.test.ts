import t from 'tap';
import { nginx } from '../../installer/components/nginx/component.ts';
import { plainSpelling, refusedSpellings } from '../../installer/components/nginx/spellings.ts';
import { redis } from '../../installer/components/redis/component.ts';
import type { Route } from '../../installer/model/contribution.ts';
import type { Desired } from '../../installer/model/desired.ts';
import {
  componentInput,
  configFrom,
  contributing,
  renderWith,
} from '../support/component-render.ts';
import { routeTo } from '../support/edge.ts';

const WEB = 'services: { web: { image: "a:1", port: 3000 } }';

function rendered(text: string, routes: readonly Route[] = [routeTo('web', 3000, {})]): Desired {
  const config = configFrom(`domain: app.example.com\n${text}`);
  const servers = config.redis === undefined ? [nginx] : [redis, nginx];
  return renderWith([contributing({ routes }), ...servers], componentInput(config));
}

const STACK = '/var/lib/holdfast/stack';
const fileOf = ({ files }: Desired, path: string): string =>
  files.get(path.startsWith('/') ? path : `${STACK}/${path}`)?.content ?? '';

/** Names of the limits at each path of the host. */
function limitsByPath(desired: Desired): Record<string, string> {
  const conf = fileOf(desired, 'nginx/hosts/app.example.com.conf');
  const blocks = conf.split(/^ {4}location /m).slice(1);
  return Object.fromEntries(
    blocks.flatMap((block) => {
      const [, path = ''] = /^(?:= )?"([^"]*)"/.exec(block) ?? [];
      const [, names] = /enforce\(\{ (.*) \}\)/.exec(block) ?? [];
      return names === undefined ? [] : [[path, names.replaceAll('"', '')]];
    }),
  );
}

const LIMITS = `
http:
  rateLimits:
    - { name: all, limit: 1000 }
    - { name: login, limit: 3, window: 1h, onFailure: closed }
    - { name: nobody, key: "jwt:sub", limit: 5 }
    - { name: user, key: "jwt:sub", limit: 5, verifyWith: JWT_SECRET }
    - { name: agent, key: "header:X-Api-Key", limit: 5, standardHeaders: false }
services:
  web:
    image: "a:1"
    port: 3000
    routes: [{ path: / }, { path: /login/, rateLimit: login }, { path: /none/, rateLimit: nobody }]
`;
const ROUTES = [
  routeTo('web', 3000, {}),
  routeTo('web', 3000, { path: '/login/' }),
  routeTo('web', 3000, { path: '/none/' }),
  routeTo('grafana', 3000, { path: '/figures/' }),
];

t.test(
  'a limit that no route names holds everywhere, another only where it is named',
  async (t) => {
    t.same(limitsByPath(rendered(LIMITS, ROUTES)), {
      '/': 'all, user, agent',
      '/login': 'all, user, agent, login',
      '/login/': 'all, user, agent, login',
      '/none': 'all, user, agent',
      '/none/': 'all, user, agent',
      '/figures': 'all, user, agent',
      '/figures/': 'all, user, agent',
    });
  },
);

t.test('limits bring Redis, a user of their own and a network for the two', async (t) => {
  const desired = rendered(LIMITS, ROUTES);
  const { services, networks } = desired.stack;
  t.ok('limits' in networks && networks['limits']?.internal);
  t.ok(
    'limits' in (services['nginx']?.networks ?? {}) &&
      'limits' in (services['redis']?.networks ?? {}),
  );
  const shared = Object.keys(services['redis']?.networks ?? {}).filter(
    (name) => name in (services['nginx']?.networks ?? {}),
  );
  t.same(shared, ['limits'], 'nginx reaches Redis there and nowhere else');
  t.match(
    fileOf(desired, 'redis/users.acl'),
    /^user holdfast_limits on #[0-9a-f]{64} resetchannels ~holdfast:limit:\* -@all \+evalsha /m,
  );
  const parsed = JSON.parse(fileOf(desired, 'nginx/limits.json'));
  t.match(parsed, {
    all: { by: 'ip', limit: 1000, window: 60, headers: true, closed: false },
    login: { window: 3600, closed: true },
    user: { by: 'jwt', of: 'sub' },
    agent: { by: 'header', variable: 'http_x_api_key', headers: false },
  });
  t.notOk('nobody' in parsed, 'a token that nothing verifies counts nobody');
  const secrets = desired.files.get('/var/lib/holdfast/secret-mounts/nginx/limits.secrets.json');
  t.match(secrets, { mode: 0o400, uid: 101, secret: true });
  t.match(secrets?.content, 'secret of JWT_SECRET');
  for (const { path, content, secret } of desired.files.values()) {
    if (!secret) t.notMatch(content, /secret of (JWT_SECRET|REDIS_LIMITS_PASSWORD)/, path);
  }
});

t.test('what limits need is said before anything is rendered', async (t) => {
  const needs = nginx.needs?.(configFrom(`domain: app.example.com\n${LIMITS}`));
  t.match(needs?.secrets, [
    { name: 'REDIS_LIMITS_PASSWORD', generate: { kind: 'password' } },
    { name: 'JWT_SECRET', optional: false, usedBy: 'http.rateLimits user' },
  ]);
});

t.test('without limits and firewall there is no trace of them', async (t) => {
  const desired = rendered(WEB);
  t.notOk('redis' in desired.stack.services);
  t.notOk('limits' in desired.stack.networks);
  for (const { path, content } of desired.files.values()) {
    t.notMatch(path, /limits|waf/);
    t.notMatch(content, /enforce|modsecurity|rate_limit/, path);
  }
});

t.test('what a spelling is refused for is a guard that the route above it lacks', async (t) => {
  const open = { allowFrom: [], basicAuth: undefined, limits: ['all'], inspected: true };
  const route = (path: string, more: object = {}) => ({ ...open, path, written: path, ...more });
  const own = { allowFrom: ['192.0.2.0/24'] };
  const routes = [
    route(''),
    route('/api'),
    route('/admin', own),
    route('/admin/keys', { ...own, basicAuth: 'USERS' }),
    route('/ADMIN'),
    route('/admin/open'),
    route('/login', { limits: ['all', 'login'] }),
    route('/raw', { inspected: false }),
    route('/raw/seen'),
  ];
  const patterns = refusedSpellings(['/metrics', ''], routes, false).map(
    (pattern) => new RegExp(pattern.replaceAll('\\z', '$')),
  );
  const isRefused = (path: string) => patterns.some((pattern) => pattern.test(path));
  for (const path of ['/Admin', '/admin;/x', '/admin/KEYS/1', '/ADMIN/keys', '/Login', '/Raw/seen'])
    t.ok(isRefused(path), path);
  for (const path of ['/metrics', '/METRICS/x', '/RAW/Seen']) t.ok(isRefused(path), path);
  for (const path of [
    '/',
    '/API/x',
    '/api;x',
    '/ADMIN/x',
    '/admin/x',
    '/admin/keys',
    '/administer',
  ])
    t.notOk(isRefused(path), path);
  for (const path of ['/Raw', '/raw/seen/x', '/metricsx']) t.notOk(isRefused(path), path);
  const plain = routes.filter((one) => plainSpelling(one, routes) !== undefined);
  t.strictSame(
    plain.map(({ path }) => path),
    ['/admin/open', '/raw'],
    'where the way to a path of more guards leads by',
  );
});

const WAF = 'http: { clientMaxBodySize: 20m, waf: { mode: block, exclude: [/editor/] } }';

t.test(
  'the firewall has an image and the memory for it, and looks at the right routes',
  async (t) => {
    const desired = rendered(`${WAF}\n${WEB}`, [
      routeTo('web', 3000, {}),
      routeTo('web', 3000, { path: '/editor/' }),
      routeTo('web', 3000, { path: '/hooks/', rawBody: true }),
      routeTo('web', 3000, { path: '/film/', maxBody: 100 * 1024 ** 2 }),
      routeTo('web', 3000, { path: '/live/', websocket: true }),
    ]);
    const service = desired.stack.services['nginx'];
    t.match(service?.image, 'holdfast/nginx-waf');
    const plain = rendered(WEB).stack.services['nginx'];
    t.match(plain?.image, 'holdfast/nginx:');
    // Rules, and a body of 20 MiB in each of two workers.
    t.equal(Number(service?.mem_limit) - Number(plain?.mem_limit), (56 + 2 * 20 * 1.5) * 1024 ** 2);
    const conf = fileOf(desired, 'nginx/hosts/app.example.com.conf');
    const inspected = conf
      .split(/^ {4}location /m)
      .filter((block) => block.includes('modsecurity on;'))
      .map((block) => /^(?:= )?"([^"]*)"/.exec(block)?.[1]);
    t.same(inspected.sort(), ['/', '/live', '/live/']);
    t.match(fileOf(desired, 'nginx/waf.conf'), /^SecRuleEngine On$/m);
    const detect = rendered(`${WAF.replace('block', 'detect')}\n${WEB}`);
    t.match(fileOf(detect, 'nginx/waf.conf'), /^SecRuleEngine DetectionOnly$/m);
    t.match(desired.validators, [{ id: 'nginx', image: 'nginx-waf' }]);
  },
);
