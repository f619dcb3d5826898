import t from 'tap';
import { parse } from 'yaml';
import { roleSecret } from '../../installer/components/postgres/names.ts';
import { redisUserSecret } from '../../installer/components/redis/names.ts';
import { services } from '../../installer/components/services/component.ts';
import { configOf, generated, inputOf, needsOf } from '../support/component-input.ts';
import { fileText, renderedData } from '../support/rendered.ts';

const APP = 'image: "ghcr.io/acme/app:1", port: 3000';

interface ComposeFile {
  readonly services: Readonly<Record<string, { readonly environment?: Record<string, string> }>>;
}
const composeOf = (desired: Parameters<typeof fileText>[0], name: string) =>
  parse(fileText(desired, name)) as ComposeFile;

t.test('environment values of any bytes arrive as they are', async (t) => {
  const values = {
    LINES: 'first\nsecond\r\n\ttab',
    QUOTES: `it's "quoted" \\ back\\n`,
    DOLLARS: '$HOME ${HOME} $$ %s %%',
    TEMPLATES: '<% evil() %> <%= it.x %> {{ .Values }} #{x}',
    YAML: '- [a, {b: *c}] # no comment: yes',
    WORDS: 'no',
    NUMBER: '007',
    BLANK: '',
    UNICODE: 'é 漢 🐚 \u2028 \u0085',
  };
  const body = `services:\n  web:\n    image: "ghcr.io/acme/app:1"\n    env: ${JSON.stringify(values)}`;
  const desired = renderedData(body);
  t.strictSame(desired.stack.services['web']?.environment, values);
  const doubled = Object.fromEntries(
    Object.entries(values).map(([key, value]) => [key, value.replaceAll('$', '$$$$')]),
  );
  t.strictSame(composeOf(desired, 'compose.yaml').services['web']?.environment, doubled);
});

t.test(
  '`uses` brings connection URLs and their parts; passwords stay out of compose.yaml',
  async (t) => {
    const desired = renderedData(`services:\n  web-shop: { ${APP}, uses: [postgres, redis] }`);
    const database = generated(roleSecret('web_shop')).reveal();
    const redis = generated(redisUserSecret('web-shop')).reveal();
    t.match(desired.stack.services['web-shop']?.environment, {
      DATABASE_HOST: 'postgres',
      DATABASE_PORT: '5432',
      DATABASE_NAME: 'web_shop',
      DATABASE_USER: 'web_shop',
      REDIS_HOST: 'redis',
      REDIS_PORT: '6379',
      REDIS_USER: 'web-shop',
    });
    t.strictSame(composeOf(desired, 'compose.secrets.yaml').services['web-shop']?.environment, {
      DATABASE_PASSWORD: database,
      DATABASE_URL: `postgresql://web_shop:${database}@postgres:5432/web_shop`,
      REDIS_PASSWORD: redis,
      REDIS_URL: `redis://web-shop:${redis}@redis:6379/0`,
    });
    const plain = fileText(desired, 'compose.yaml');
    t.notOk(plain.includes(database) || plain.includes(redis));
  },
);

t.test(
  'a password with characters of its own is escaped in the URL and nowhere else',
  async (t) => {
    const password = 'p@ss/w:rd?#%';
    const stored = { [roleSecret('web')]: password };
    const desired = renderedData(`services:\n  web: { ${APP}, uses: [postgres] }`, { stored });
    const environment =
      composeOf(desired, 'compose.secrets.yaml').services['web']?.environment ?? {};
    t.equal(environment['DATABASE_PASSWORD'], password);
    const url = new URL(environment['DATABASE_URL'] ?? '');
    t.equal(decodeURIComponent(url.password), password);
    t.equal(url.hostname, 'postgres');
  },
);

t.test('a stored DATABASE_URL replaces the one that is made, parts and all', async (t) => {
  const stored = { DATABASE_URL: 'postgresql://elsewhere' };
  const desired = renderedData(
    `services:\n  web: { ${APP}, uses: [postgres], secrets: [DATABASE_URL] }`,
    { stored },
  );
  t.strictSame(composeOf(desired, 'compose.secrets.yaml').services['web']?.environment, stored);
  t.equal(desired.stack.services['web']?.environment?.['DATABASE_HOST'], undefined);
});

t.test('DATABASE_URL named as a secret is not missing, and is a file too', async (t) => {
  const body = `services:\n  web: { ${APP}, uses: [postgres], secrets: [DATABASE_URL, TOKEN_X] }`;
  const needs = needsOf(configOf(body), [services]).secrets ?? [];
  t.match(
    needs.find(({ name }) => name === 'DATABASE_URL'),
    { optional: true },
  );
  t.match(
    needs.find(({ name }) => name === 'TOKEN_X'),
    { optional: false, usedBy: 'services.web' },
  );
  const desired = renderedData(body, { stored: { TOKEN_X: 'x' } });
  t.match(fileText(desired, 'web/DATABASE_URL'), /^postgresql:\/\/web:/);
});

t.test(
  'secrets are files in /run/secrets and variables; an optional one may be absent',
  async (t) => {
    const body = `services:\n  web: { ${APP}, secrets: [TOKEN_X, "EXTRA?"] }\n  api: { ${APP} }`;
    const value = 'line 1\nline "2" $3\n';
    const desired = renderedData(body, { stored: { TOKEN_X: value } });
    t.strictSame(desired.stack.services['web']?.secrets, [
      { file: '/var/lib/holdfast/secret-mounts/web/TOKEN_X', target: '/run/secrets/TOKEN_X' },
    ]);
    const file = [...desired.files.values()].find(({ path }) => path.endsWith('/TOKEN_X'));
    t.match(file, {
      content: value,
      secret: true,
      onChange: [{ kind: 'restart', service: 'web' }],
    });
    const environment = composeOf(desired, 'compose.secrets.yaml').services;
    t.strictSame(environment['web']?.environment, { TOKEN_X: value.replace('$', '$$$$') });
    t.equal(environment['api'], undefined);
    t.strictSame(desired.stack.services['api']?.secrets ?? [], []);
  },
);

t.test(
  'another secret value makes other containers of those who read it, and of nobody else',
  async (t) => {
    const body = `services:\n  web: { ${APP}, secrets: [TOKEN_X] }\n  api: { ${APP} }`;
    const specs = (value: string) => renderedData(body, { stored: { TOKEN_X: value } }).specs;
    t.not(specs('one').get('web'), specs('two').get('web'));
    t.equal(specs('one').get('api'), specs('two').get('api'));
  },
);

t.test('a service reaches its peers and what it uses, and nothing else', async (t) => {
  const desired = renderedData(`services:
  web: { ${APP}, peers: [api] }
  worker: { ${APP}, peers: [api], uses: [redis] }
  api: { ${APP}, uses: [postgres] }
  lonely: { ${APP} }
`);
  const networksOf = (name: string) => Object.keys(desired.stack.services[name]?.networks ?? {});
  const reaches = (a: string, b: string) =>
    networksOf(a).some((network) => networksOf(b).includes(network));
  const expected: Record<string, string[]> = {
    web: ['api'],
    worker: ['api', 'redis'],
    api: ['web', 'worker', 'postgres'],
    lonely: [],
    postgres: ['api'],
    redis: ['worker'],
  };
  const names = Object.keys(expected);
  for (const a of names) {
    const seen = names.filter((b) => b !== a && reaches(a, b));
    t.strictSame(new Set(seen), new Set(expected[a]), a);
  }
  t.equal(desired.stack.services['web']?.environment?.['API_URL'], 'http://api:3000');
  t.equal(desired.stack.networks['app-web']?.internal, false, 'the way out');
});

t.test('the way out is its own: no two services share it', async (t) => {
  const desired = renderedData(
    `services:\n  a: { ${APP}, peers: "*" }\n  b: { ${APP}, peers: "*" }`,
  );
  const outward = (name: string) =>
    Object.keys(desired.stack.services[name]?.networks ?? {}).filter(
      (network) => desired.stack.networks[network]?.internal === false,
    );
  t.strictSame([outward('a'), outward('b')], [['app-a'], ['app-b']]);
});

t.test('health: a command runs inside, a path is asked for from outside', async (t) => {
  const desired = renderedData(`services:
  a: { ${APP}, health: { command: [node, check.js], interval: 7s, timeout: 2s, unhealthy: 5 } }
  b: { ${APP}, health: { path: /health, expect: "ok", interval: 30s, healthy: 2 } }
  c: { ${APP} }
`);
  t.match(desired.stack.services['a']?.healthcheck, {
    test: ['CMD', 'node', 'check.js'],
    interval: '7s',
    timeout: '2s',
    retries: 5,
  });
  t.strictSame(desired.stack.services['b']?.healthcheck, { test: ['NONE'] });
  t.strictSame(desired.stack.services['c']?.healthcheck, { test: ['NONE'] });
  t.strictSame(
    desired.httpChecks.map(({ service }) => service),
    ['b'],
  );
  t.match(desired.portChecks, [{ service: 'c', port: 3000, unhealthy: 3 }]);
  t.match(desired.httpChecks[0], { port: 3000, path: '/health', expect: 'ok', healthy: 2 });
});

t.test('command, args, limits, replicas and migration go where they belong', async (t) => {
  const desired = renderedData(`services:
  web:
    image: "ghcr.io/acme/app:1"
    port: 3000
    command: /bin/server --flag "two words"
    args: [x]
    replicas: { min: 2, max: 4 }
    resources: { cpus: 0.5, memory: 192m }
    migrate: npx prisma migrate deploy
`);
  t.match(desired.stack.services['web'], {
    entrypoint: ['/bin/server', '--flag', 'two words'],
    command: ['x'],
    scale: 2,
    cpus: 0.5,
    mem_limit: 192 * 1024 ** 2,
  });
  t.strictSame(desired.migrations, [
    { service: 'web', argv: ['npx', 'prisma', 'migrate', 'deploy'] },
  ]);
});

t.test('volumes: shared by name, backed up or with a reason', async (t) => {
  const config = configOf(`project: shop
services:
  web: { ${APP}, volumes: [{ name: uploads, mount: /up, backup: true }, { name: cache, mount: /c }] }
  worker: { ${APP}, volumes: [{ name: uploads, mount: /in }] }
`);
  const contribution = services.contribute?.(inputOf(config, [services])) ?? {};
  t.strictSame(contribution.backups, [
    { kind: 'volume', name: 'uploads', volume: 'shop_uploads', service: 'web' },
  ]);
  t.strictSame(contribution.unbackedVolumes, [
    { volume: 'cache', reason: 'backup: false in the config' },
  ]);
});

t.test('routes, scrape targets and clients are told to those who collect them', async (t) => {
  const config = configOf(`services:
  web:
    image: "ghcr.io/acme/app:1"
    port: 3000
    replicas: 2
    metrics: { path: /m, port: 9100 }
    uses: [postgres]
    dbPool: 7
    routes: [{ path: /api, websocket: true, maxBody: 1g }]
`);
  const contribution = services.contribute?.(inputOf(config, [services])) ?? {};
  t.match(contribution.routes, [
    {
      host: 'app.example.com',
      path: '/api/',
      service: 'web',
      port: 3000,
      websocket: true,
      maxBody: 1024 ** 3,
    },
  ]);
  t.strictSame(contribution.scrapes, [
    { job: 'web', service: 'web', path: '/m', port: 9100, replicated: true },
  ]);
  t.match(contribution.databases, [{ service: 'web', database: 'web', pool: 7, maxReplicas: 2 }]);
});
