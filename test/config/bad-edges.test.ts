import t from 'tap';
import type { BadConfig } from './support.ts';
import { BASE, problemsOf, WEB } from './support.ts';

/** The rarer rules that span keys. */
const rows: readonly BadConfig[] = [
  {
    name: 'an exclusion of no route',
    yaml: [WEB, 'http: { waf: { mode: detect, exclude: [/uploads/] } }'],
    says: ['config.yaml:6:40 http.waf.exclude[0]: no route /uploads/'],
  },
  {
    name: 'countries both allowed and denied',
    yaml: [WEB, 'http: { geo: { allow: [FR], deny: [XX] } }'],
    says: ['config.yaml:6:14 http.geo: has allow and deny: with one of them the other follows'],
  },
  {
    name: 'a limit of no length',
    yaml: [WEB, 'http: { rateLimits: [{ name: api, limit: 5, window: 0s }] }'],
    says: ['config.yaml:6:53 http.rateLimits[0].window: expected a window longer than nothing'],
  },
  {
    name: 'a token verified where none is counted',
    yaml: [WEB, 'http: { rateLimits: [{ name: api, limit: 5, verifyWith: JWT_SECRET }] }'],
    says: ['config.yaml:6:57 http.rateLimits[0].verifyWith: fits a key jwt:<claim> only'],
  },
  {
    name: 'a volume that shrinks',
    yaml: [WEB, 'postgres: { storage: { size: 20g, max: 10g } }'],
    says: ['config.yaml:6:40 postgres.storage.max: is less than size'],
  },
  {
    name: 'a backup window that never opens',
    yaml: [WEB, 'backups: { window: { from: "01:00", to: "01:00" } }'],
    says: ['config.yaml:6:41 backups.window.to: is the same as from: the window never opens'],
  },
  {
    name: 'a bucket in a directory',
    yaml: [
      WEB,
      'storage:',
      '  providers:',
      '    disk: { kind: directory, path: /mnt/disk }',
      '  buckets:',
      '    docs: { provider: disk, name: acme-docs }',
    ],
    says: [
      'config.yaml:10:23 storage.buckets.docs.provider: is a directory: a bucket needs a provider of kind s3 or r2',
    ],
  },
  {
    name: 'a bucket that replicates to itself',
    yaml: [
      WEB,
      'storage:',
      '  providers:',
      '    main: { kind: s3, endpoint: https://s3.example.com, secretRef: MAIN }',
      '  buckets:',
      '    docs: { provider: main, name: acme-docs, replicateTo: main }',
    ],
    says: [
      'config.yaml:10:59 storage.buckets.docs.replicateTo: is the provider of the bucket itself',
    ],
  },
  {
    name: 'copies of buckets that would be none, and ages for a bucket with backups in it',
    yaml: [
      WEB,
      'storage:',
      '  providers:',
      '    main: { kind: s3, endpoint: https://s3.example.com, secretRef: MAIN }',
      '    same: { kind: s3, endpoint: https://s3.example.com, secretRef: SAME }',
      '  buckets:',
      '    docs: { provider: main, name: acme-docs, replicateTo: local }',
      '    images: { provider: main, name: acme-images, replicateTo: same }',
      '    files: { provider: same, name: acme-files, lifecycle: { deleteAfter: 30d } }',
      'backups: { provider: main, bucket: acme-files }',
    ],
    says: [
      'config.yaml:11:59 storage.buckets.docs.replicateTo: is a directory: the copy of a bucket needs a provider of kind s3 or r2',
      'config.yaml:12:63 storage.buckets.images.replicateTo: is the same place as the provider of the bucket',
      'config.yaml:13:59 storage.buckets.files.lifecycle: ages all of a bucket, and the backups lie in it: give the product one of its own',
    ],
  },
  {
    name: 'a bucket of an unknown provider',
    yaml: [
      WEB,
      'storage:',
      '  providers:',
      '    main: { kind: s3, endpoint: https://s3.example.com, secretRef: MAIN }',
      '  buckets:',
      '    docs: { provider: mian, name: acme-docs, replicateTo: other }',
    ],
    says: [
      'config.yaml:10:23 storage.buckets.docs.provider: no provider mian in storage.providers (did you mean main?)',
      'config.yaml:10:59 storage.buckets.docs.replicateTo: no provider other in storage.providers',
    ],
  },
  {
    name: 'a storage class for a directory',
    yaml: [WEB, 'backups: { storageClass: STANDARD }'],
    says: ['config.yaml:6:26 backups.storageClass: a directory has no storage classes'],
  },
  {
    name: 'a job with an unknown provider',
    yaml: [
      WEB,
      'redis: {}',
      'backups: { jobs: [{ name: daily, source: redis, cron: "0 2 * * *", provider: cold }] }',
    ],
    says: ['config.yaml:7:78 backups.jobs[0].provider: no provider cold in storage.providers'],
  },
  {
    name: 'a job whose provider has no bucket',
    yaml: [
      WEB,
      'redis: {}',
      'storage:',
      '  providers:',
      '    main: { kind: s3, endpoint: https://s3.example.com, secretRef: MAIN }',
      'backups: { jobs: [{ name: daily, source: redis, cron: "0 2 * * *", provider: main }] }',
    ],
    says: ['config.yaml:10:78 backups.jobs[0].provider: is of kind s3: needs backups.bucket'],
  },
  {
    name: 'a copy of itself',
    yaml: [WEB, 'backups: { jobs: [{ name: copy, source: "backup:copy", cron: "0 2 * * *" }] }'],
    says: ['config.yaml:6:41 backups.jobs[0].source: is the job itself'],
  },
  {
    name: 'a recovery kit in the clear',
    yaml: [
      WEB,
      'backups: { encryption: none, jobs: [{ name: kit, source: appliance, cron: "0 2 * * *" }] }',
    ],
    says: [
      'config.yaml:6:58 backups.jobs[0].source: holds every secret of the server: needs backups.encryption: age',
    ],
  },
  {
    name: 'a job that keeps nothing',
    yaml: [
      WEB,
      'redis: {}',
      'backups: { jobs: [{ name: daily, source: redis, cron: "0 2 * * *", keep: { daily: 0 } }] }',
    ],
    says: ['config.yaml:7:74 backups.jobs[0].keep: keeps nothing: set daily, weekly or monthly'],
  },
  {
    name: 'a job of an unknown accessory',
    yaml: [
      WEB,
      'redis: {}',
      'backups: { jobs: [{ name: daily, source: reids, cron: "0 2 * * *" }] }',
    ],
    says: ['config.yaml:7:42 backups.jobs[0].source: no accessory reids (did you mean redis?)'],
  },
  {
    name: 'a second primary',
    yaml: [
      WEB,
      'nodes:',
      '  - { name: one, host: 203.0.113.1 }',
      '  - { name: two, host: 203.0.113.2, roles: [db-primary] }',
    ],
    says: ['config.yaml:8:44 nodes[1].roles: one is db-primary already'],
  },
  {
    name: 'the same node twice',
    yaml: [
      WEB,
      'nodes:',
      '  - { name: one, host: 203.0.113.1 }',
      '  - { name: one, host: 203.0.113.2, roles: [app] }',
    ],
    says: ['config.yaml:8:13 nodes[1].name: there is a node one already'],
  },
  {
    name: 'standbys on unknown nodes',
    yaml: [
      WEB,
      'nodes:',
      '  - { name: vps1, host: 203.0.113.1 }',
      'postgres: { replicas: [{ node: vps2 }] }',
      'redis: { replicas: [vps3] }',
    ],
    says: [
      'config.yaml:8:32 postgres.replicas[0].node: no node vps2 (did you mean vps1?)',
      'config.yaml:9:21 redis.replicas[0]: no node vps3 (did you mean vps1?)',
    ],
  },
  {
    name: 'SSH of a node on 80',
    yaml: [WEB, 'nodes:', '  - { name: vps1, host: 203.0.113.1, ssh: { port: 80 } }'],
    says: [
      'config.yaml:7:51 nodes[0].ssh.port: port 80 belongs to nginx: choose another one for SSH',
    ],
  },
  {
    name: 'http-01 behind a closed port',
    yaml: [WEB, 'firewall: { public: [443] }'],
    says: ['config.yaml:6:21 firewall.public: http-01 needs port 80: add it, or use dns-01'],
  },
  {
    name: 'another authority without the word that has it asked',
    yaml: [
      WEB,
      'tls:',
      '  directory: https://acme.example.com/directory',
      '  caFile: ./ca.pem',
      '  eab: { keyId: kid-1, secret: EAB }',
    ],
    says: [
      'config.yaml:7:14 tls.directory: has no effect with issuer letsencrypt: write `issuer: acme`, or take it out',
      'config.yaml:8:11 tls.caFile: has no effect with issuer letsencrypt: write `issuer: acme`, or take it out',
      'config.yaml:9:8 tls.eab: has no effect with issuer letsencrypt: write `issuer: acme`, or take it out',
    ],
  },
  {
    name: 'given files without the word that has them read',
    yaml: [WEB, 'tls: { files: { certificate: a.pem, key: a.key } }'],
    says: [
      'config.yaml:6:15 tls.files: has no effect with issuer letsencrypt: write `issuer: files`, or take it out',
    ],
  },
  {
    name: 'a DNS provider without the word that has it used',
    yaml: [WEB, 'tls: { dnsProvider: { kind: cloudflare, secretRef: CF } }'],
    says: [
      'config.yaml:6:21 tls.dnsProvider: has no effect with challenge http-01: write `challenge: dns-01`, or take it out',
    ],
  },
  {
    name: 'preload for less than a year',
    yaml: [WEB, 'tls: { hsts: { preload: true, includeSubDomains: true, maxAge: 30d } }'],
    says: [
      'config.yaml:6:25 tls.hsts.preload: needs a maxAge of at least 31536000 seconds, a year',
    ],
  },
  {
    name: 'metrics without a port',
    yaml: ['services:', '  web: { image: ghcr.io/acme/web:1.4.2, metrics: {} }'],
    says: ['config.yaml:5:50 services.web.metrics: needs a port, here or at the service'],
  },
  {
    name: 'a health path without a port',
    yaml: ['services:', '  web: { image: ghcr.io/acme/web:1.4.2, health: { path: /health } }'],
    says: ['config.yaml:5:49 services.web.health: asks for a path, but the service has no port'],
  },
  {
    name: 'a limit that a profile names and nobody sets',
    yaml: [
      'profiles:',
      '  api: { port: 3000, routes: [{ path: /api, rateLimit: login }] }',
      'services:',
      '  web: { profile: api, image: ghcr.io/acme/web:1.4.2 }',
    ],
    says: ['config.yaml:5:56 profiles.api.routes[0].rateLimit: no limit login in http.rateLimits'],
  },
  {
    name: 'a route of a profile that two services share',
    yaml: [
      'profiles:',
      '  api: { port: 3000, routes: [{ path: /api }] }',
      'services:',
      '  one: { profile: api, image: ghcr.io/acme/one:1.4.2 }',
      '  two: { profile: api, image: ghcr.io/acme/two:1.4.2 }',
    ],
    says: ['config.yaml:8:8 services.two: app.example.com/api/ already leads to service one'],
  },
  {
    name: 'downloads where a service is',
    yaml: [
      'services:',
      '  web: { image: ghcr.io/acme/web:1.4.2, port: 3000, routes: [{ path: /files/ }] }',
      'sites:',
      '  front: { artifact: ./dist, hosts: [app.example.com], downloads: { path: /files, volume: files } }',
    ],
    says: [
      'config.yaml:7:75 sites.front.downloads.path: app.example.com/files/ already leads to service web',
    ],
  },
  {
    name: 'a site from an image and more, of no version, from all of it',
    yaml: [
      'sites:',
      '  front:',
      '    artifact: ./dist',
      '    image: { reference: ghcr.io/acme/front, folder: html }',
      '    hosts: [www.example.com]',
      '  whole:',
      '    image: { reference: "ghcr.io/acme/front:1.4.2", folder: "//" }',
      '    hosts: [whole.example.com]',
    ],
    says: [
      'config.yaml:7:5 sites.front.image: has an artifact or a build as well: keep one of them',
      'config.yaml:7:25 sites.front.image.reference: the image names no version: add a tag such as ghcr.io/acme/front:1.4.2, or a digest',
      'config.yaml:7:53 sites.front.image.folder: names a folder in the image by its whole path, such as /usr/share/nginx/html',
      'config.yaml:10:61 sites.whole.image.folder: names a folder in the image by its whole path, such as /usr/share/nginx/html',
    ],
  },
  {
    name: 'a site from two sources',
    yaml: [
      'sites:',
      '  front:',
      '    artifact: ./dist',
      '    build: { context: ./web, command: make, output: dist }',
      '    hosts: [www.example.com]',
    ],
    says: ['config.yaml:7:5 sites.front.build: has an artifact as well: keep one of them'],
  },
  {
    name: 'the same rule and the same probe twice',
    yaml: [
      WEB,
      'monitoring:',
      '  probes: [{ name: a, url: "https://a.example.com" }, { name: a, url: "https://b.example.com" }]',
      '  rules: [{ name: b, metric: up, op: "<", value: 1 }, { name: b, metric: up, op: "<", value: 1 }]',
    ],
    says: [
      'config.yaml:7:63 monitoring.probes[1].name: there is a probe a already',
      'config.yaml:8:63 monitoring.rules[1].name: there is a rule b already',
    ],
  },
  {
    name: 'one path in two spellings',
    yaml: [
      'services:',
      '  web:',
      '    image: ghcr.io/acme/web:1.4.2',
      '    port: 3000',
      '    routes: [{ path: /%61pi/ }, { path: /api }, { path: /caf%C3%A9/ }, { path: /caf%c3%a9/ }]',
      'sites:',
      '  front: { artifact: ./dist, hosts: [app.example.com], downloads: { path: /ap%69, volume: files } }',
    ],
    says: [
      'config.yaml:8:33 services.web.routes[1]: app.example.com/api/ already leads to service web, as /%61pi/',
      'config.yaml:8:72 services.web.routes[3]: app.example.com/caf%c3%a9/ already leads to service web, as /caf%C3%A9/',
      'config.yaml:10:75 sites.front.downloads.path: app.example.com/ap%69/ already leads to service web, as /%61pi/',
    ],
  },
  {
    name: 'downloads where everything is closed',
    yaml: [
      WEB,
      'http: { denyPaths: [/internal/, /%66iles] }',
      'sites:',
      '  same: { artifact: ./d, hosts: [a.example.com], downloads: { path: /files, volume: files } }',
      '  deeper: { artifact: ./d, hosts: [b.example.com], downloads: { path: /files/x/, volume: files } }',
      '  figures: { artifact: ./d, hosts: [c.example.com], downloads: { path: /metrics/, volume: files } }',
      '  open: { artifact: ./d, hosts: [d.example.com], downloads: { path: /filesystem/, volume: files } }',
    ],
    says: [
      'config.yaml:8:69 sites.same.downloads.path: is closed by /%66iles in http.denyPaths',
      'config.yaml:9:71 sites.deeper.downloads.path: is closed by /%66iles in http.denyPaths',
      'config.yaml:10:72 sites.figures.downloads.path: is closed on every host, for figures of services: choose another path',
    ],
  },
  {
    name: 'the same stream twice',
    yaml: [WEB, 'logs: { streams: [{ name: all }, { name: all }] }'],
    says: ['config.yaml:6:42 logs.streams[1].name: there is a stream all already'],
  },
  {
    name: 'a site built from latest',
    yaml: [
      'sites:',
      '  front:',
      '    build: { context: ./web, command: make, output: dist, image: "node:latest" }',
      '    hosts: [www.example.com]',
    ],
    says: [
      'config.yaml:6:66 sites.front.build.image: latest is a different image every day: name a version such as node:1.4.2, or a digest',
    ],
  },
];

for (const { name, yaml, says } of rows) {
  t.test(name, async (t) => {
    t.strictSame(problemsOf([BASE, ...yaml].join('\n')), says);
  });
}
