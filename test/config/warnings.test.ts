import t from 'tap';
import { BASE, fixture, problemsOf, WEB, warningsOf } from './support.ts';

/** Configs that are valid and still deserve a word. */
const rows: readonly {
  readonly name: string;
  readonly yaml: readonly string[];
  readonly says: readonly string[];
}[] = [
  {
    name: 'inline scripts in the content security policy',
    yaml: [
      WEB,
      `http: { csp: { default-src: ["'none'"], script-src: ["'self'", "'unsafe-inline'"] } }`,
    ],
    says: [
      "config.yaml:6:64 http.csp.script-src[1]: 'unsafe-inline' lets injected scripts run: use a nonce or a hash",
    ],
  },
  {
    name: 'a content security policy that lets everything in',
    yaml: [
      WEB,
      `http: { csp: { default-src: ["*", "data:", "'unsafe-eval'"], img-src: ["*", "data:"] } }`,
    ],
    says: [
      'config.yaml:6:30 http.csp.default-src[0]: * lets scripts of every site run: name the hosts',
      'config.yaml:6:35 http.csp.default-src[1]: data: lets injected scripts run from a data: URL',
      "config.yaml:6:44 http.csp.default-src[2]: 'unsafe-eval' lets injected text run as a script",
    ],
  },
  {
    name: 'a content security policy that names neither scripts nor a default',
    yaml: [WEB, `http: { csp: { scrip-src: ["'self'"] } }`],
    says: [
      'config.yaml:6:14 http.csp: has neither default-src nor script-src: scripts of every site run',
      'config.yaml:6:16 http.csp.scrip-src: no browser knows this directive (did you mean script-src?)',
    ],
  },
  {
    name: 'a content security policy without a default',
    yaml: [WEB, `http: { csp: { script-src: ["'self'"] } }`],
    says: [
      'config.yaml:6:14 http.csp: has no default-src: what no directive names may come from anywhere',
    ],
  },
  {
    name: 'a route that the firewall leaves alone',
    yaml: [
      'services:',
      '  web: { image: ghcr.io/acme/web:1.4.2, port: 3000, routes: [{ path: /film/, maxBody: 100m }] }',
      'http: { waf: { mode: block } }',
    ],
    says: [
      'config.yaml:5:62 services.web.routes[0]: takes bodies over 64m: the firewall leaves the whole route alone',
    ],
  },
  {
    name: 'cross-origin requests from everywhere',
    yaml: [WEB, 'http: { cors: { allowOrigins: ["https://a.example.com", "*"] } }'],
    says: [
      'config.yaml:6:57 http.cors.allowOrigins[1]: lets the pages of every site call, without cookies: the other origins add nothing',
    ],
  },
  {
    name: 'HSTS preload',
    yaml: [WEB, 'tls: { hsts: { preload: true, includeSubDomains: true } }'],
    says: [
      'config.yaml:6:25 tls.hsts.preload: takes months to undo once the browsers have listed the domain',
    ],
  },
  {
    name: 'a backup within the maintenance window',
    yaml: [
      'services:',
      '  web: { image: ghcr.io/acme/web:1.4.2, port: 3000, uses: [postgres] }',
      'updates: { window: { day: Sun, from: "23:00", to: "03:00" } }',
      'backups: { jobs: [{ name: weekly, source: postgres, cron: "0 2 * * 1" }] }',
    ],
    says: [
      'config.yaml:7:59 backups.jobs[0].cron: runs within updates.window (Sun 23:00 to 03:00), when updates may restart what it reads',
    ],
  },
  {
    name: 'a backup within the maintenance window that automatic updates get by themselves',
    yaml: [
      'services:',
      '  web: { image: ghcr.io/acme/web:1.4.2, port: 3000, uses: [postgres] }',
      'updates: { images: { policy: auto } }',
      'backups: { jobs: [{ name: weekly, source: postgres, cron: "30 4 * * 0" }] }',
    ],
    says: [
      'config.yaml:7:59 backups.jobs[0].cron: runs within updates.window (Sun 04:00 to 05:00), when updates may restart what it reads',
    ],
  },
  {
    name: 'an archive tier on a bucket that a service uses',
    yaml: [
      'services:',
      '  web: { image: ghcr.io/acme/web:1.4.2, port: 3000, uses: ["bucket:docs"] }',
      'storage:',
      '  providers:',
      '    main: { kind: s3, endpoint: https://s3.example.com, secretRef: MAIN }',
      '  buckets:',
      '    docs: { provider: main, name: acme-docs, lifecycle: { archiveAfter: 90d } }',
    ],
    says: [
      'config.yaml:10:73 storage.buckets.docs.lifecycle.archiveAfter: a service uses this bucket, and archived objects take hours to read',
    ],
  },
  {
    name: 'backups that leave the server unencrypted',
    yaml: [
      WEB,
      'storage:',
      '  providers:',
      '    main: { kind: s3, endpoint: https://s3.example.com, secretRef: MAIN }',
      'backups: { provider: main, bucket: acme-backups, encryption: none }',
    ],
    says: ['config.yaml:9:62 backups.encryption: leaves readable data with the provider: use age'],
  },
  {
    name: 'a path that nobody asks for',
    yaml: [
      'services:',
      '  web: { image: ghcr.io/acme/web:1.4.2, port: 3000 }',
      'accessories:',
      '  search: { image: "a/search:1", port: 80, health: { path: /, command: [ok] } }',
    ],
    says: [
      'config.yaml:7:60 accessories.search.health.path: has no effect: health.command is asked in its place',
    ],
  },
  {
    name: 'a pool of connections without a database',
    yaml: ['services:', '  web: { image: ghcr.io/acme/web:1.4.2, port: 3000, dbPool: 5 }'],
    says: ['config.yaml:5:61 services.web.dbPool: has no effect without `uses: [postgres]`'],
  },
  {
    name: 'a limit by tokens that nobody verifies',
    yaml: [WEB, 'http: { rateLimits: [{ name: user, key: "jwt:sub", limit: 100 }] }'],
    says: [
      'config.yaml:6:41 http.rateLimits[0].key: counts nobody until verifyWith names the secret that verifies the token',
    ],
  },
  {
    name: 'a limit by what a client shows, where none by address holds',
    yaml: [
      'services:',
      '  web: { image: ghcr.io/acme/web:1.4.2, port: 3000, routes: [{ path: /, rateLimit: key }, { path: /door/, rateLimit: door }] }',
      'http: { rateLimits: [{ name: key, key: "header:X-Api-Key", limit: 5 }, { name: door, limit: 9 }] }',
    ],
    says: [
      'config.yaml:6:40 http.rateLimits[0].key: a client may make up as many as it likes: no limit by ip holds on the same route (one that no route names holds on all)',
    ],
  },
  {
    name: 'a limit by what a client shows beside one by address',
    yaml: [
      'services:',
      '  web: { image: ghcr.io/acme/web:1.4.2, port: 3000, routes: [{ path: /, rateLimit: key }, { path: /door/, rateLimit: door }] }',
      'http: { rateLimits: [{ name: key, key: "cookie:sid", limit: 5 }, { name: door, limit: 9 }, { name: all, limit: 99 }] }',
    ],
    says: [],
  },
  {
    name: 'connections that two releases side by side do not have',
    yaml: [
      'services:',
      '  web: { image: "a/b:1", port: 3000, uses: [postgres], replicas: 3, dbPool: 20, routes: [{ path: / }] }',
      '  api: { image: "a/b:1", port: 3001, uses: [postgres], routes: [], dbPool: 20 }',
      'postgres: { maxConnections: 100 }',
    ],
    says: [
      'config.yaml:7:29 postgres.maxConnections: while a release of web runs beside the one before (3 × 20 twice), services may open 140 database connections, more than 97, which is postgres.maxConnections (100) without what Postgres keeps for itself: lower dbPool or replicas, or raise maxConnections',
    ],
  },
  {
    name: 'connections that are just enough for a release',
    yaml: [
      'services:',
      '  web: { image: "a/b:1", port: 3000, uses: [postgres], replicas: 3, dbPool: 16 }',
      'postgres: { maxConnections: 99 }',
    ],
    says: [],
  },
  {
    name: 'limits whose counters Redis may forget',
    yaml: [
      WEB,
      'redis: { purpose: cache, persistence: none }',
      'http: { rateLimits: [{ name: all, limit: 99 }] }',
    ],
    says: [
      'config.yaml:6:19 redis.purpose: a full memory drops counters of http.rateLimits, and their clients begin anew: use queue, or see that maxMemory is never full',
      'config.yaml:6:39 redis.persistence: a restart forgets the counters of http.rateLimits: use aof or rdb',
    ],
  },
  {
    name: 'a Redis that may forget, and no limits',
    yaml: [WEB, 'redis: { purpose: cache, persistence: none }'],
    says: [],
  },
  {
    name: 'replicas that never scale, whatever is said about it',
    yaml: [
      'profiles:',
      '  still: { replicas: { min: 3, scaleDown: { cpu: 20 } } }',
      '  elastic: { replicas: { min: 2, scaleUp: { cpu: 60 } } }',
      'services:',
      '  web: { image: "a/b:1", port: 3000, replicas: { min: 2, scaleUp: { cpu: 80 }, cooldown: 1m } }',
      '  one: { image: "a/b:1", profile: still }',
      '  two: { image: "a/b:1", profile: elastic }',
      '  three: { image: "a/b:1", profile: elastic, replicas: { max: 4 } }',
    ],
    says: [
      'config.yaml:5:43 profiles.still.replicas.scaleDown: has no effect: replicas.max is no more than min',
      'config.yaml:8:67 services.web.replicas.scaleUp: has no effect: replicas.max is no more than min',
      'config.yaml:8:90 services.web.replicas.cooldown: has no effect: replicas.max is no more than min',
    ],
  },
  {
    name: 'a page that reaches nobody',
    yaml: [
      WEB,
      'monitoring: { rules: [{ name: down, metric: probe_success, op: "==", value: 0, severity: page }] }',
    ],
    says: [
      'config.yaml:6:90 monitoring.rules[0].severity: page reaches nobody: no receiver in alerting.receivers takes it',
    ],
  },
  {
    name: 'a backup that its window holds back',
    yaml: [
      WEB,
      'redis: {}',
      'backups:',
      '  window: { from: "01:00", to: "03:00" }',
      '  jobs: [{ name: daily, source: redis, cron: "0 4 * * *" }]',
    ],
    says: [
      'config.yaml:9:46 backups.jobs[0].cron: never runs within backups.window (01:00 to 03:00): it waits until the window opens',
    ],
  },
  {
    name: 'a storage class that takes hours to read',
    yaml: [
      WEB,
      'storage:',
      '  providers:',
      '    main: { kind: s3, endpoint: https://s3.example.com, secretRef: MAIN }',
      'backups: { provider: main, bucket: acme-backups, storageClass: GLACIER }',
    ],
    says: [
      'config.yaml:9:64 backups.storageClass: GLACIER takes hours to read: a restore waits for it, and so does its test',
    ],
  },
  {
    name: 'a storage class that is paid for longer than it is kept',
    yaml: [
      WEB,
      'redis: {}',
      'storage: { providers: { r2: { kind: r2, endpoint: "https://r2.example.com", secretRef: R } } }',
      'backups:',
      '  provider: r2',
      '  bucket: acme-backups',
      '  jobs:',
      '    - { name: one, source: redis, cron: "0 2 * * *", storageClass: STANDARD_IA, keepRemote: 7d }',
      '    - { name: two, source: redis, cron: "0 2 * * *", storageClass: STANDARD_IA, keepRemote: 30d }',
      '    - { name: three, source: redis, cron: "0 2 * * *", keepRemote: 7d }',
    ],
    says: [
      'config.yaml:12:93 backups.jobs[0].keepRemote: STANDARD_IA is paid for 30 days at least: keep it so long, or use STANDARD',
    ],
  },
  {
    name: 'SSH for some and for everybody',
    yaml: [WEB, 'firewall: { public: [80, 443, 80], ssh: { allowFrom: [any, 10.0.0.0/8] } }'],
    says: [
      'config.yaml:6:31 firewall.public[2]: port 80 is there twice',
      'config.yaml:6:54 firewall.ssh.allowFrom: any lets everyone in: the other networks have no effect',
    ],
  },
  {
    name: 'a proof that a private CA does not ask for',
    yaml: [
      WEB,
      'tls:',
      '  issuer: selfsigned',
      '  challenge: dns-01',
      '  dnsProvider: { kind: route53, secretRef: DNS }',
      '  wildcard: true',
    ],
    says: [
      'config.yaml:8:14 tls.challenge: has no effect with issuer selfsigned',
      'config.yaml:9:16 tls.dnsProvider: has no effect with issuer selfsigned',
      'config.yaml:10:13 tls.wildcard: has no effect with issuer selfsigned',
    ],
  },
  {
    name: 'what a private CA and given files do not ask for, where somebody chose them',
    yaml: [
      WEB,
      'tls:',
      '  issuer: files',
      '  files: { certificate: a.pem, key: a.key }',
      '  directory: https://acme.example.com/directory',
      '  caFile: ./ca.pem',
      '  eab: { keyId: kid-1, secret: EAB }',
      '  challenge: dns-01',
      '  wildcard: true',
    ],
    says: [
      'config.yaml:9:14 tls.directory: has no effect with issuer files',
      'config.yaml:10:11 tls.caFile: has no effect with issuer files',
      'config.yaml:11:8 tls.eab: has no effect with issuer files',
      'config.yaml:12:14 tls.challenge: has no effect with issuer files',
      'config.yaml:13:13 tls.wildcard: has no effect with issuer files',
    ],
  },
  {
    name: 'files that a chosen private CA does not read',
    yaml: [WEB, 'tls: { issuer: selfsigned, files: { certificate: a.pem, key: a.key } }'],
    says: ['config.yaml:6:35 tls.files: has no effect with issuer selfsigned'],
  },
  {
    name: 'a report-only policy that says nothing',
    yaml: [WEB, 'http: { cspReportOnly: true }'],
    says: ['config.yaml:6:24 http.cspReportOnly: has no effect without http.csp'],
  },
  {
    name: 'services that nothing leads to',
    yaml: [
      'services:',
      '  one: { image: ghcr.io/acme/one:1.4.2, port: 3000 }',
      '  two: { image: ghcr.io/acme/two:1.4.2, port: 3000 }',
    ],
    says: [
      'config.yaml:2:9 domain: nothing is routed: no service or site answers requests from outside',
    ],
  },
  {
    name: 'a peer whose URL is called as that of Postgres',
    yaml: [
      'services:',
      '  web: { image: "a/b:1", port: 3000, uses: [postgres], peers: [database], routes: [{ path: / }] }',
      '  database: { image: "a/b:1", port: 8080 }',
    ],
    says: [
      'config.yaml:6:3 services.database: that of Postgres hides its DATABASE_URL from services.web: choose another name',
    ],
  },
  {
    name: 'a service that loses the domain to the route of another',
    yaml: [
      'services:',
      '  web: { image: ghcr.io/acme/web:1.4.2, port: 3000 }',
      '  api: { image: ghcr.io/acme/api:1.4.2, port: 3001, routes: [{ path: /api }] }',
    ],
    says: [
      'config.yaml:2:9 domain: app.example.com/ leads nowhere, and services.web has a port and no routes: write `routes: [{ path: / }]`, or `routes: []` where none is meant',
    ],
  },
  {
    name: 'services that lose the domain to a site elsewhere',
    yaml: [
      'services:',
      '  web: { image: ghcr.io/acme/web:1.4.2, port: 3000 }',
      '  api: { image: ghcr.io/acme/api:1.4.2, port: 3001 }',
      '  inner: { image: ghcr.io/acme/api:1.4.2, port: 3001, routes: [] }',
      'sites: { docs: { artifact: ./dist, hosts: [docs.example.com] } }',
    ],
    says: [
      'config.yaml:2:9 domain: app.example.com/ leads nowhere, and services.web, services.api have a port and no routes: write `routes: [{ path: / }]`, or `routes: []` where none is meant',
    ],
  },
];

for (const { name, yaml, says } of rows) {
  t.test(`${name} draws a warning and does not fail`, async (t) => {
    const text = [BASE, ...yaml].join('\n');
    t.strictSame(problemsOf(text), []);
    t.strictSame(warningsOf(text), says);
  });
}

t.test('a domain that a site answers at its root draws none', async (t) => {
  const yaml = [
    BASE,
    WEB,
    '  api: { image: ghcr.io/acme/api:1.4.2, port: 3001, routes: [{ path: /api }] }',
    'sites: { front: { artifact: ./dist, hosts: [app.example.com] } }',
  ].join('\n');
  t.strictSame(warningsOf(yaml), []);
});

t.test('a backup on another day than the maintenance draws none', async (t) => {
  const yaml = [
    BASE,
    'services:',
    '  web: { image: ghcr.io/acme/web:1.4.2, port: 3000, uses: [postgres] }',
    'updates: { window: { day: Sun, from: "23:00", to: "03:00" } }',
    'backups:',
    '  jobs:',
    '    - { name: sunday-night, source: postgres, cron: "0 2 * * sun" }',
    '    - { name: monday-evening, source: postgres, cron: "30 23 * * 1" }',
    '    - { name: at-the-end, source: postgres, cron: "0 3 * * 1" }',
  ].join('\n');
  t.strictSame(warningsOf(yaml), []);
});

t.test('the seed configs are valid', async (t) => {
  t.strictSame(problemsOf(fixture('attendee.yaml')), []);
  t.strictSame(warningsOf(fixture('attendee.yaml')), []);
  t.strictSame(problemsOf(fixture('rt.yaml')), []);
  t.strictSame(
    warningsOf(fixture('rt.yaml')).map((text) => text.split(' ')[1]),
    [
      'http.rateLimits[1].key:',
      'backups.jobs[1].cron:',
      'backups.jobs[2].cron:',
      'backups.jobs[3].cron:',
    ],
  );
});

t.test('an image by digest needs no tag', async (t) => {
  const digest = `sha256:${'0123456789abcdef'.repeat(4)}`;
  const yaml = `${BASE}\nservices:\n  web: { image: "ghcr.io/acme/web@${digest}", port: 3000 }`;
  t.strictSame(problemsOf(yaml), []);
});

t.test('names that only look like secrets are fine', async (t) => {
  const yaml = [
    BASE,
    'services:',
    '  web:',
    '    image: ghcr.io/acme/web:1.4.2',
    '    port: 3000',
    '    env:',
    '      PASSWORD_MIN_LENGTH: "8"',
    '      TOKEN_TTL: 15m',
    '      MONKEY_MODE: "on"',
    '      STRIPE_PUBLIC_KEY: pk_live_abc',
    '      NEXT_PUBLIC_MAPS_KEY: abc',
    '      AUTH_SOURCE: admin',
    '      R2_PUBLIC_URL: https://pub-xxxxx.r2.dev',
    '      DATABASE_HOST: db',
    '      EMPTY_TOKEN: ""',
    '      ODD: "a$b%c<%d{{e}}\\n\'f\\""',
  ].join('\n');
  t.strictSame(problemsOf(yaml), []);
  t.strictSame(warningsOf(yaml), []);
});
