import t from 'tap';
import { loadConfig } from '../../installer/config/load.ts';
import { configOf, fixture, problemsOf, WEB } from './support.ts';

const GIB = 1024 ** 3;

t.test('five lines make a complete config', async (t) => {
  const config = configOf(WEB);
  t.match(config, {
    project: 'app',
    environment: 'production',
    timezone: 'UTC',
    tls: { issuer: 'letsencrypt', minVersion: '1.2', hsts: { maxAge: 31_536_000, preload: false } },
    http: { clientMaxBodySize: 10 * 1024 ** 2, headers: { frameOptions: 'DENY' } },
    firewall: { public: [80, 443], ssh: { port: 22, allowFrom: ['any'] } },
    monitoring: {
      prometheus: { enabled: true, retention: 15 * 86_400, scrapeInterval: 15 },
      grafana: { enabled: true, host: 'grafana.app.example.com' },
    },
    storage: { providers: { local: { kind: 'directory' } } },
    backups: { provider: 'local', prefix: 'app', isDefault: true, encryption: 'age', jobs: [] },
    agent: { heartbeat: [], auditLog: true, metricsEvery: 15 },
  });
  t.equal(config.postgres, undefined);
  t.equal(config.redis, undefined);
  t.notOk('profiles' in config);
});

t.test('a service has every default filled in', async (t) => {
  const step = { for: 120, step: 1 };
  t.strictSame(configOf(WEB).services['web'], {
    name: 'web',
    image: 'ghcr.io/acme/web:1.4.2',
    build: undefined,
    port: 3000,
    command: undefined,
    args: undefined,
    replicas: {
      min: 1,
      max: 1,
      scaleUp: { ...step, cpu: 70 },
      scaleDown: { cpu: 20, for: 300, step: 1 },
      cooldown: 180,
    },
    resources: { cpus: undefined, memory: 256 * 1024 ** 2 },
    health: {
      path: undefined,
      command: undefined,
      deepPath: undefined,
      expect: undefined,
      interval: 10,
      timeout: 5,
      healthy: 2,
      unhealthy: 3,
    },
    metrics: undefined,
    migrate: undefined,
    seed: undefined,
    peers: [],
    routes: [
      {
        host: 'app.example.com',
        path: '/',
        strip: false,
        websocket: false,
        rawBody: false,
        allowFrom: [],
      },
    ],
    volumes: [],
    env: {},
    secrets: [],
    uses: [],
    database: undefined,
    dbPool: 10,
    scan: undefined,
  });
});

t.test(
  'only the sole service with a port gets the root, and only if nothing is routed',
  async (t) => {
    const two = configOf(
      'services:',
      '  web: { image: "a/web:1", port: 3000 }',
      '  worker: { image: "a/worker:1" }',
    );
    t.equal(two.services['web']?.routes[0]?.path, '/');
    t.strictSame(two.services['worker']?.routes, []);
    const none = configOf(WEB.replace('port: 3000', 'port: 3000, routes: []'));
    t.strictSame(none.services['web']?.routes, []);
    const site = configOf(WEB, 'sites: { front: { artifact: ./dist, hosts: [app.example.com] } }');
    t.strictSame(site.services['web']?.routes, []);
  },
);

t.test('a profile merges into a service', async (t) => {
  const config = configOf(
    'profiles:',
    '  backend:',
    '    image: "a/base:1"',
    '    port: 3000',
    '    replicas: { min: 2, max: 10, scaleUp: { cpu: 60 } }',
    '    resources: { cpus: 0.5, memory: 192m }',
    '    env: { A: profile, B: profile }',
    '    secrets: [ONE, TWO]',
    '    uses: [redis]',
    '    volumes: [{ name: shared, mount: /shared }]',
    'services:',
    '  api:',
    '    profile: backend',
    '    build: { context: ./api }',
    '    replicas: { max: 4 }',
    '    resources: { memory: 512m }',
    '    env: { B: service, C: service }',
    '    secrets: ["TWO?", THREE]',
    '    uses: [postgres, redis]',
    '    volumes: [{ name: own, mount: /own }]',
    '  plain: { profile: backend, replicas: 3 }',
  );
  t.match(config.services['api'], {
    image: undefined,
    build: { context: './api', dockerfile: 'Dockerfile' },
    port: 3000,
    replicas: { min: 2, max: 4, scaleUp: { cpu: 60, for: 120, step: 1 } },
    resources: { cpus: 0.5, memory: 512 * 1024 ** 2 },
    env: { A: 'profile', B: 'service', C: 'service' },
    secrets: [
      { name: 'ONE', optional: false },
      { name: 'TWO', optional: true },
      { name: 'THREE', optional: false },
    ],
    uses: [{ kind: 'redis' }, { kind: 'postgres' }],
    volumes: [{ name: 'own', mount: '/own', backup: false }],
  });
  t.match(config.services['plain'], { image: 'a/base:1', replicas: { min: 3, max: 3 } });
});

t.test('peers "*" are the other services with a port', async (t) => {
  const config = configOf(
    'services:',
    '  one: { image: "a/one:1", port: 1, routes: [{ path: / }], peers: "*" }',
    '  two: { image: "a/two:1", port: 2 }',
    '  worker: { image: "a/worker:1", peers: "*" }',
  );
  t.strictSame(config.services['one']?.peers, ['two']);
  t.strictSame(config.services['worker']?.peers, ['one', 'two']);
});

t.test('what a service uses is there with defaults', async (t) => {
  const config = configOf(WEB.replace(' }', ', uses: [postgres, redis] }'));
  t.match(config.postgres, { maxConnections: 100, owner: 'app', snapshotBefore: ['migrate'] });
  t.match(config.redis, { purpose: 'queue', persistence: 'aof', maxMemory: 128 * 1024 ** 2 });
  t.match(config.backups.jobs, [
    {
      name: 'daily',
      source: { kind: 'postgres' },
      method: 'logical',
      cron: '0 2 * * *',
      provider: 'local',
      keepRemote: undefined,
      keep: { daily: 35, weekly: 8, monthly: 12 },
    },
  ]);
});

t.test('a volume that wants a backup gets a job, unless one names it', async (t) => {
  const volumes =
    'volumes: [{ name: uploads, mount: /a, backup: true }, { name: cache, mount: /b }]';
  const service = `services: { web: { image: "a/web:1", port: 3000, ${volumes} } }`;
  t.match(configOf(service).backups.jobs, [
    { name: 'volume-uploads', source: { kind: 'volume', name: 'uploads' }, method: 'archive' },
  ]);
  const named = configOf(
    service,
    'backups: { jobs: [{ name: files, source: "volume:uploads", cron: "0 4 * * *", keep: { daily: 7 } }] }',
  );
  t.equal(named.backups.jobs.length, 1);
  t.match(named.backups.jobs[0], { name: 'files', keepRemote: undefined, keep: { daily: 7 } });
  t.equal(named.backups.isDefault, false);
});

t.test('an accessory that says how to dump it gets a job, unless one names it', async (t) => {
  const accessory =
    'services: { web: { image: "a/web:1", port: 3000 } }\naccessories: { db: { image: "m:1", dump: [dump] }, mute: { image: "m:1" } }';
  const source = { kind: 'accessory', name: 'db' } as const;
  t.match(configOf(accessory).backups.jobs, [
    { name: 'accessory-db', source, method: 'logical', keep: { daily: 35 } },
  ]);
  const job = 'backups: { jobs: [{ name: mine, source: db, cron: "0 4 * * *", keepRemote: 7d }] }';
  t.match(configOf(accessory, job).backups.jobs, [{ name: 'mine', source }]);
  t.equal(configOf(accessory, job).backups.jobs.length, 1);
});

t.test('a name that the internet does not know gets a private CA and no HSTS', async (t) => {
  for (const domain of ['localhost', 'app.localhost', 'shop.internal']) {
    const text = `version: 1\ndomain: ${domain}\ncontact: ops@example.com\n${WEB}`;
    const loaded = loadConfig(text, 'config.yaml');
    t.match(
      loaded,
      { ok: true, config: { tls: { issuer: 'selfsigned', hsts: undefined } } },
      domain,
    );
  }
});

t.test('nobody signs for such a name', async (t) => {
  const text = `version: 1\ndomain: localhost\ncontact: ops@example.com\n${WEB}\ntls: { issuer: letsencrypt }`;
  t.strictSame(problemsOf(text), [
    'config.yaml:6:16 tls.issuer: letsencrypt does not sign for localhost: use selfsigned',
  ]);
});

t.test('a selfsigned issuer asks nothing of the other TLS keys', async (t) => {
  const config = configOf(WEB, 'tls: { issuer: selfsigned, challenge: dns-01, wildcard: true }');
  t.equal(config.tls.issuer, 'selfsigned');
});

t.test('the seed of the logistics platform resolves', async (t) => {
  const loaded = loadConfig(fixture('rt.yaml'), 'rt.yaml');
  t.ok(loaded.ok);
  if (!loaded.ok) return;
  const { services, accessories } = loaded.config;
  t.equal(Object.keys(services).length, 24);
  t.match(services['core-orders'], {
    replicas: { min: 2, max: 10, cooldown: 180 },
    secrets: [{ name: 'JWT_SECRET' }, { name: 'INTERNAL_SERVICE_TOKEN' }, { name: 'MONGODB_URI' }],
    uses: [
      { kind: 'accessory', name: 'mongodb' },
      { kind: 'bucket', name: 'docs' },
    ],
    routes: [{ host: 'api.rt-technologie.com', path: '/api/orders/' }],
  });
  t.equal(services['core-orders']?.peers.length, 23);
  t.strictSame(services['web-industry']?.secrets, [{ name: 'API_SECRET_KEY', optional: false }]);
  t.match(accessories['mongodb'], {
    resources: { cpus: 1, memory: GIB },
    health: { interval: 10 },
  });
});

t.test('what happens by itself gets a window early on Sunday, unless it has one', async (t) => {
  const windowOf = (...updates: string[]) =>
    configOf('services: { web: { image: "a/web:1", port: 3000 } }', ...updates).updates.window;
  const sunday = { day: 'Sun', from: '04:00', to: '05:00', every: 'weekly' };
  t.strictSame(windowOf('updates: { images: { policy: auto } }'), sunday);
  t.strictSame(windowOf('updates: { os: { reboot: true } }'), sunday);
  t.match(
    windowOf('updates: { images: { policy: auto }, window: { from: "01:00", to: "02:00" } }'),
    { from: '01:00' },
  );
  t.equal(windowOf(), undefined, 'what a person starts needs none');
});
