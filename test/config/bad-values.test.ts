import t from 'tap';
import type { BadConfig } from './support.ts';
import { BASE, problemsOf, WEB } from './support.ts';

/** Values that are not what the language expects, each with the exact message. */
const rows: readonly BadConfig[] = [
  {
    name: 'replicas in words',
    yaml: ['services:', '  web: { image: ghcr.io/acme/web:1.4.2, replicas: two }'],
    says: [
      'config.yaml:5:51 services.web.replicas: expected a whole number from 1 to 28, got "two"',
    ],
  },
  {
    name: 'too many replicas',
    yaml: ['services:', '  web: { image: ghcr.io/acme/web:1.4.2, replicas: 29 }'],
    says: ['config.yaml:5:51 services.web.replicas: expected a whole number from 1 to 28, got 29'],
  },
  {
    name: 'half a replica',
    yaml: ['services:', '  web: { image: ghcr.io/acme/web:1.4.2, replicas: 1.5 }'],
    says: ['config.yaml:5:51 services.web.replicas: expected a whole number from 1 to 28, got 1.5'],
  },
  {
    name: 'a port out of range',
    yaml: ['services:', '  web: { image: ghcr.io/acme/web:1.4.2, port: 70000 }'],
    says: [
      'config.yaml:5:47 services.web.port: expected a whole number from 1 to 65535, got 70000',
    ],
  },
  {
    name: 'a size without a unit',
    yaml: ['services:', '  web: { image: ghcr.io/acme/web:1.4.2, resources: { memory: 512 } }'],
    says: [
      'config.yaml:5:62 services.web.resources.memory: expected a size of at least 6m, such as 256m or 4g, got 512',
    ],
  },
  {
    name: 'a size with a long unit',
    yaml: ['services:', '  web: { image: ghcr.io/acme/web:1.4.2, resources: { memory: 512MiB } }'],
    says: [
      'config.yaml:5:62 services.web.resources.memory: expected a size of at least 6m, such as 256m or 4g, got "512MiB"',
    ],
  },
  {
    name: 'memory that is no limit, or less than a container can have',
    yaml: [
      'services:',
      '  web: { image: ghcr.io/acme/web:1.4.2, resources: { memory: 0m } }',
      'accessories:',
      '  search: { image: "docker.io/getmeili/meilisearch:v1.9", resources: { memory: 6143k } }',
      'redis: { maxMemory: 0k }',
    ],
    says: [
      'config.yaml:5:62 services.web.resources.memory: expected a size of at least 6m, such as 256m or 4g, got "0m"',
      'config.yaml:7:80 accessories.search.resources.memory: expected a size of at least 6m, such as 256m or 4g, got "6143k"',
      'config.yaml:8:21 redis.maxMemory: expected a size of at least 6m, such as 256m or 4g, got "0k"',
    ],
  },
  {
    name: 'a load that is judged by a moment',
    yaml: [
      'services:',
      '  web: { image: "a/b:1", port: 3000, replicas: { max: 4, scaleUp: { for: 0s }, scaleDown: { for: 9s } } }',
    ],
    says: [
      'config.yaml:5:74 services.web.replicas.scaleUp.for: expected a duration of at least 10s, got "0s"',
      'config.yaml:5:98 services.web.replicas.scaleDown.for: expected a duration of at least 10s, got "9s"',
    ],
  },
  {
    name: 'bodies of no size, which nginx takes for any size',
    yaml: [
      'services:',
      '  web: { image: "a/b:1", port: 3000, routes: [{ path: /, maxBody: 0k }] }',
      'http: { clientMaxBodySize: 0m }',
    ],
    says: [
      'config.yaml:5:67 services.web.routes[0].maxBody: expected a size of at least 1k, got "0k"',
      'config.yaml:6:28 http.clientMaxBodySize: expected a size of at least 1k, got "0m"',
    ],
  },
  {
    name: 'an address where a name belongs',
    yaml: [WEB, 'sites: { front: { artifact: ./dist, hosts: [203.0.113.7] } }'],
    says: [
      'config.yaml:6:45 sites.front.hosts[0]: expected a host name such as app.example.com, got "203.0.113.7"',
    ],
  },
  {
    name: 'a duration without a unit',
    yaml: [
      'services:',
      '  web: { image: ghcr.io/acme/web:1.4.2, health: { path: /health, interval: 30 } }',
    ],
    says: [
      'config.yaml:5:76 services.web.health.interval: expected a duration such as 30s, 5m, 1h, 7d, 8w, 12M or 7y, got 30',
    ],
  },
  {
    name: 'a duration in words',
    yaml: [
      'services:',
      '  web: { image: ghcr.io/acme/web:1.4.2, health: { path: /health, timeout: 5 seconds } }',
    ],
    says: [
      'config.yaml:5:75 services.web.health.timeout: expected a duration such as 30s, 5m, 1h, 7d, 8w, 12M or 7y, got "5 seconds"',
    ],
  },
  {
    name: 'checks without time',
    yaml: [
      'services:',
      '  web: { image: ghcr.io/acme/web:1.4.2, health: { interval: 0s, timeout: 0m } }',
      'accessories:',
      '  db: { image: "a/b:1", volumes: [{ name: d, mount: /d, backup: { pause: true, pauseLimit: 0s } }] }',
    ],
    says: [
      'config.yaml:5:61 services.web.health.interval: expected a duration of at least 1s, got "0s"',
      'config.yaml:5:74 services.web.health.timeout: expected a duration of at least 1s, got "0m"',
      'config.yaml:7:92 accessories.db.volumes[0].backup.pauseLimit: expected a duration of at least 1s, got "0s"',
    ],
  },
  {
    name: 'a relative URL path',
    yaml: [
      'services:',
      '  web: { image: ghcr.io/acme/web:1.4.2, port: 3000, health: { path: health } }',
    ],
    says: [
      'config.yaml:5:69 services.web.health.path: expected a URL path such as /api/, got "health"',
    ],
  },
  {
    name: 'a cron of six fields',
    yaml: [
      WEB,
      'backups: { jobs: [{ name: daily, source: postgres, cron: "0 0 2 * * *" }] }',
      'postgres: {}',
    ],
    says: [
      'config.yaml:6:58 backups.jobs[0].cron: expected a cron schedule of five fields such as "0 2 * * *", got "0 0 2 * * *"',
    ],
  },
  {
    name: 'a cron out of range',
    yaml: [WEB, 'tls: { renewAt: "61 3 * * *" }'],
    says: [
      'config.yaml:6:17 tls.renewAt: expected a cron schedule of five fields such as "0 2 * * *", got "61 3 * * *"',
    ],
  },
  {
    name: 'an unknown time zone',
    yaml: [WEB, 'timezone: Europe/Pariss'],
    says: [
      'config.yaml:6:11 timezone: expected a time zone such as UTC or Europe/Paris, got "Europe/Pariss"',
    ],
  },
  {
    name: 'an unknown issuer',
    yaml: [WEB, 'tls: { issuer: letsencript }'],
    says: [
      'config.yaml:6:16 tls.issuer: expected one of letsencrypt, letsencrypt-staging, acme, files, selfsigned, got "letsencript"',
    ],
  },
  {
    name: 'TLS below 1.2',
    yaml: [WEB, 'tls: { minVersion: "1.1" }'],
    says: ['config.yaml:6:20 tls.minVersion: expected one of 1.2, 1.3, got "1.1"'],
  },
  {
    name: 'a flag as YAML 1.1 knew it',
    yaml: [WEB, 'http: { gzip: yes }'],
    says: ['config.yaml:6:15 http.gzip: expected true or false, got "yes"'],
  },
  {
    name: 'a host in capitals',
    yaml: [
      'services:',
      '  web: { image: ghcr.io/acme/web:1.4.2, port: 3000, routes: [{ host: App.example.com }] }',
    ],
    says: [
      'config.yaml:5:70 services.web.routes[0].host: expected a host name such as app.example.com, got "App.example.com"',
    ],
  },
  {
    name: 'a network that is none',
    yaml: [WEB, 'firewall: { denyFrom: [192.0.2.0/33] }'],
    says: [
      'config.yaml:6:24 firewall.denyFrom[0]: expected an address or a network such as 203.0.113.7 or 10.0.0.0/8, got "192.0.2.0/33"',
    ],
  },
  {
    name: 'an unquoted environment number',
    yaml: [
      'services:',
      '  web:',
      '    image: ghcr.io/acme/web:1.4.2',
      '    env:',
      '      PORT: 3000',
    ],
    says: ['config.yaml:8:13 services.web.env.PORT: expected text in quotes, got a number'],
  },
  {
    name: 'halves of characters and NUL in variables and words',
    yaml: [
      'services:',
      '  web:',
      '    image: ghcr.io/acme/web:1.4.2',
      '    env: { HALF: "x\\ud800y", NUL: "a\\0b" }',
      '    command: ["a\\udc00"]',
    ],
    says: [
      'config.yaml:7:18 services.web.env.HALF: expected text of whole characters without NUL, got something else (not shown)',
      'config.yaml:7:35 services.web.env.NUL: expected text of whole characters without NUL, got something else (not shown)',
      'config.yaml:8:14 services.web.command: expected a command as text or as a list of words, got a list',
    ],
  },
  {
    name: 'a secret that is no name',
    yaml: [
      'services:',
      '  web: { image: ghcr.io/acme/web:1.4.2, secrets: [hunter2-the-password] }',
    ],
    says: [
      'config.yaml:5:51 services.web.secrets[0]: expected the name of a secret in capitals such as SMTP_PASSWORD, or SMTP_PASSWORD? if optional, got something else (not shown)',
    ],
  },
  {
    name: 'a command with an open quote',
    yaml: ['services:', '  web: { image: ghcr.io/acme/web:1.4.2, migrate: "sh -c \'oops" }'],
    says: [
      'config.yaml:5:50 services.web.migrate: expected a command as text or as a list of words, got "sh -c \'oops"',
    ],
  },
  {
    name: 'a service name in capitals',
    yaml: ['services:', '  Web: { image: ghcr.io/acme/web:1.4.2 }'],
    says: [
      'config.yaml:5:3 services.Web: expected a name in lower-case letters, digits and hyphens, at most 40 characters, got "Web"',
    ],
  },
  {
    name: 'an environment name with a hyphen',
    yaml: [
      'services:',
      '  web:',
      '    image: ghcr.io/acme/web:1.4.2',
      '    env:',
      '      MY-NAME: text',
    ],
    says: [
      'config.yaml:8:7 services.web.env.MY-NAME: expected the name of an environment variable: letters, digits and underscores, got "MY-NAME"',
    ],
  },
  {
    name: 'a list where a mapping belongs',
    yaml: ['services:', '  - web'],
    says: ['config.yaml:5:3 services: expected a mapping, got a list'],
  },
  {
    name: 'a mapping where a list belongs',
    yaml: [
      'services:',
      '  web: { image: ghcr.io/acme/web:1.4.2, routes: { host: app.example.com } }',
    ],
    says: ['config.yaml:5:49 services.web.routes: expected a list, got a mapping'],
  },
  {
    name: 'an empty section',
    yaml: [WEB, 'redis:'],
    says: ['config.yaml:6:1 redis: expected a mapping, got nothing: write {} for the defaults'],
  },
  {
    name: 'an empty list of hosts',
    yaml: ['sites:', '  front: { artifact: ./dist, hosts: [] }'],
    says: [
      'config.yaml:5:37 sites.front.hosts: expected a list with at least one host, got an empty list',
    ],
  },
  {
    name: 'a storage kind that is none',
    yaml: [
      WEB,
      'storage:',
      '  providers:',
      '    main: { kind: ftp, endpoint: https://example.com }',
    ],
    says: [
      'config.yaml:8:19 storage.providers.main.kind: expected one of s3, r2, directory, got "ftp"',
    ],
  },
  {
    name: 'a bucket name that is none',
    yaml: [
      WEB,
      'storage:',
      '  providers:',
      '    main: { kind: s3, endpoint: https://s3.example.com, secretRef: MAIN }',
      '  buckets:',
      '    docs: { provider: main, name: My_Bucket }',
    ],
    says: [
      'config.yaml:10:35 storage.buckets.docs.name: expected a bucket name: 3 to 63 lower-case letters, digits, dots and hyphens, got "My_Bucket"',
    ],
  },
  {
    name: 'a URL with a password',
    yaml: [
      WEB,
      'monitoring:',
      '  probes:',
      '    - { name: api, url: "https://ops:hunter2@app.example.com/" }',
    ],
    says: [
      'config.yaml:8:25 monitoring.probes[0].url: holds a URL with a password in it: store it with `holdfast secrets set NAME` and name it here',
    ],
  },
  {
    name: 'a recipient that is no age key',
    yaml: [WEB, 'backups: { recipients: [ssh-ed25519] }'],
    says: [
      'config.yaml:6:25 backups.recipients[0]: expected an age public key, age1…, got "ssh-ed25519"',
    ],
  },
  {
    name: 'a time of day that is none',
    yaml: [WEB, 'updates: { window: { from: "25:00", to: "06:00" } }'],
    says: [
      'config.yaml:6:28 updates.window.from: expected a time of day such as "02:00", got "25:00"',
    ],
  },
  {
    name: 'a header that would start another',
    yaml: [WEB, 'http: { headers: { permissionsPolicy: "camera=()\\r\\nX-Other: 1" } }'],
    says: [
      'config.yaml:6:39 http.headers.permissionsPolicy: expected one line of at most 2000 ASCII characters without $, got "camera=()\\r\\nX-Other: 1"',
    ],
  },
  {
    name: 'headers that nginx could not quote, or has no room for',
    yaml: [
      WEB,
      'http:',
      "  headers: { permissionsPolicy: 'camera=$x' }",
      `  csp: { default-src: ["'self'"], img-src: [${'https://cdn.example.com, '.repeat(170)}] }`,
      `  cors: { allowOrigins: ["https://${'a'.repeat(300)}.example.com"] }`,
    ],
    says: [
      'config.yaml:7:33 http.headers.permissionsPolicy: expected one line of at most 2000 ASCII characters without $, got "camera=$x"',
      'config.yaml:8:8 http.csp: makes a header of 4107 bytes: at most 4000 fit',
      `config.yaml:9:26 http.cors.allowOrigins[0]: expected an origin of at most 300 characters, got "https://${'a'.repeat(51)}…"`,
    ],
  },
  {
    name: 'origins of a cache that nginx could not fetch from as they are written',
    yaml: [
      WEB,
      'edgeCache:',
      '  - { host: a.example.com, origin: "https://files.example.com/a$b" }',
      '  - { host: b.example.com, origin: "https://files.example.com/?a=b" }',
    ],
    says: ['$b', '?a=b'].map(
      (end, index) =>
        `config.yaml:${7 + index}:36 edgeCache[${index}].origin: expected bucket:<name> or a URL such as https://files.example.com, without $, ? or #, got "https://files.example.com/${index === 0 ? 'a' : ''}${end}"`,
    ),
  },
  {
    name: 'an endpoint that no name of a bucket can follow',
    yaml: [
      WEB,
      "storage: { providers: { main: { kind: s3, endpoint: 'https://s3.example.com/x$y', secretRef: MAIN } } }",
    ],
    says: [
      'config.yaml:6:53 storage.providers.main.endpoint: expected a URL of at most 1024 characters, without $, ? or #, got "https://s3.example.com/x$y"',
    ],
  },
  {
    name: 'a host longer than the name of a file',
    yaml: [
      WEB,
      `sites: { front: { artifact: ./dist, hosts: [${'a.'.repeat(99)}com, ${'a.'.repeat(125)}eu] } }`,
    ],
    says: [
      `config.yaml:6:45 sites.front.hosts[0]: expected a host name of at most 200 characters, got "${'a.'.repeat(29)}a…"`,
      `config.yaml:6:248 sites.front.hosts[1]: expected a host name of at most 200 characters, got "${'a.'.repeat(29)}a…"`,
    ],
  },
  {
    name: 'proxies to believe, some of them no addresses',
    yaml: [WEB, 'http: { realIp: [10.0.0.0/8, 10.0.0.0/33, fe80::1%1] }'],
    says: [
      'config.yaml:6:30 http.realIp[1]: expected an address or a network such as 203.0.113.7 or 10.0.0.0/8, got "10.0.0.0/33"',
      'config.yaml:6:43 http.realIp[2]: expected an address or a network such as 203.0.113.7 or 10.0.0.0/8, got "fe80::1%1"',
    ],
  },
  {
    name: 'proxies to believe in a form of nobody',
    yaml: [WEB, 'http: { realIp: {} }'],
    says: [
      'config.yaml:6:17 http.realIp: expected none, cloudflare or a list of networks, got a mapping',
    ],
  },
  {
    name: 'paths that nginx compares with no request, or cannot write',
    yaml: [
      'http: { denyPaths: [//secret/, /a%2F%2Fb/, "/%2e%2e/x", /%ff/, /.holdfast/errors] }',
      'services:',
      '  web:',
      '    image: ghcr.io/acme/web:1.4.2',
      '    port: 3000',
      '    metrics: { path: /m%24 }',
      '    routes: [{ path: /a//b/ }, { path: /a%24b/ }, { path: /%0A/ }, { path: /50%/ }]',
    ],
    says: [
      'config.yaml:4:21 http.denyPaths[0]: expected a URL path without // (nginx takes slashes in a row for one), got "//secret/"',
      'config.yaml:4:32 http.denyPaths[1]: expected a URL path without // (nginx takes slashes in a row for one), got "/a%2F%2Fb/"',
      'config.yaml:4:44 http.denyPaths[2]: expected a URL path without . or .. between slashes, got "/%2e%2e/x"',
      'config.yaml:4:57 http.denyPaths[3]: expected a URL path whose % codes stand for text in UTF-8, got "/%ff/"',
      'config.yaml:4:64 http.denyPaths[4]: expected a URL path outside of /.holdfast/, which is our own, got "/.holdfast/errors"',
      'config.yaml:9:22 services.web.metrics.path: expected a URL path that stands for no dollar sign and no control character, got "/m%24"',
      'config.yaml:10:22 services.web.routes[0].path: expected a URL path without // (nginx takes slashes in a row for one), got "/a//b/"',
      'config.yaml:10:40 services.web.routes[1].path: expected a URL path that stands for no dollar sign and no control character, got "/a%24b/"',
      'config.yaml:10:59 services.web.routes[2].path: expected a URL path that stands for no dollar sign and no control character, got "/%0A/"',
    ],
  },
  {
    name: 'a CSP source that would end its directive',
    yaml: [WEB, 'http: { csp: { script-src: ["\'self\'; default-src *"] } }'],
    says: [
      'config.yaml:6:29 http.csp.script-src[0]: expected a source without ; , " $ or a backslash, got "\'self\'; default-src *"',
    ],
  },
  {
    name: 'a path that climbs',
    yaml: [
      'services:',
      '  web: { image: ghcr.io/acme/web:1.4.2, volumes: [{ name: data, mount: /app/../etc }] }',
    ],
    says: [
      'config.yaml:5:72 services.web.volumes[0].mount: expected an absolute path such as /data, got "/app/../etc"',
    ],
  },
  {
    name: 'an image reference that is none',
    yaml: ['services:', '  web: { image: "ghcr.io/acme/web 1.4.2" }'],
    says: [
      'config.yaml:5:17 services.web.image: expected an image such as ghcr.io/acme/web:1.4.2, got "ghcr.io/acme/web 1.4.2"',
    ],
  },
  {
    name: 'a metric that is no metric',
    yaml: [WEB, 'monitoring: { rules: [{ name: disk, metric: "up{job}", op: ">", value: 1 }] }'],
    says: [
      'config.yaml:6:45 monitoring.rules[0].metric: expected the name of a metric: letters, digits, underscores and colons, got "up{job}"',
    ],
  },
];

for (const { name, yaml, says } of rows) {
  t.test(name, async (t) => {
    t.strictSame(problemsOf([BASE, ...yaml].join('\n')), says);
  });
}

t.test('a variable that reaches no program', async (t) => {
  const web = (bytes: number) =>
    `${BASE}\nservices:\n  web: { image: "a/b:1", env: { BIG: "${'é'.repeat(bytes / 2)}" } }`;
  t.strictSame(problemsOf(web(120 * 1024)), []);
  t.strictSame(problemsOf(web(120 * 1024 + 2)), [
    'config.yaml:5:38 services.web.env.BIG: expected text of at most 120 KiB, got something else (not shown)',
  ]);
});

t.test('an address as the domain', async (t) => {
  const yaml = `${BASE.replace('app.example.com', '203.0.113.7')}\n${WEB}`;
  t.strictSame(problemsOf(yaml), [
    'config.yaml:2:9 domain: expected a host name such as app.example.com, got "203.0.113.7"',
  ]);
});
