import t from 'tap';
import type { BadConfig } from './support.ts';
import { BASE, problemsOf, WEB } from './support.ts';

/** Rules that span the keys of the platform: sites, TLS, storage, backups, nodes. */
const rows: readonly BadConfig[] = [
  {
    name: 'a canonical host among no hosts',
    yaml: [
      'sites:',
      '  front: { artifact: ./dist, hosts: [www.example.com], canonicalHost: ww.example.com }',
    ],
    says: [
      'config.yaml:5:71 sites.front.canonicalHost: ww.example.com is not among hosts (did you mean www.example.com?)',
    ],
  },
  {
    name: 'a site without files',
    yaml: ['sites:', '  front: { hosts: [www.example.com] }'],
    says: ['config.yaml:5:3 sites.front: needs an artifact, an image or a build'],
  },
  {
    name: 'http-01 for a wildcard',
    yaml: [WEB, 'tls: { issuer: letsencrypt, wildcard: true }'],
    says: [
      'config.yaml:6:39 tls.wildcard: needs challenge dns-01: http-01 cannot prove a wildcard',
    ],
  },
  {
    name: 'dns-01 without a provider',
    yaml: [WEB, 'tls: { challenge: dns-01 }'],
    says: ['config.yaml:6:19 tls.challenge: dns-01 needs tls.dnsProvider'],
  },
  {
    name: 'files without files',
    yaml: [WEB, 'tls: { issuer: files }'],
    says: ['config.yaml:6:16 tls.issuer: files needs tls.files with certificate and key'],
  },
  {
    name: 'an ACME server without a directory',
    yaml: [WEB, 'tls: { issuer: acme }'],
    says: ['config.yaml:6:16 tls.issuer: acme needs tls.directory, the URL of the ACME server'],
  },
  {
    name: 'preload without subdomains',
    yaml: [WEB, 'tls: { hsts: { preload: true } }'],
    says: ['config.yaml:6:25 tls.hsts.preload: needs includeSubDomains: true'],
  },
  {
    name: 'SSH on 443',
    yaml: [WEB, 'firewall: { ssh: { port: 443 } }'],
    says: [
      'config.yaml:6:26 firewall.ssh.port: port 443 belongs to nginx: choose another one for SSH',
    ],
  },
  {
    name: 'Postgres open to all',
    yaml: [WEB, 'firewall: { public: [80, 443, 5432] }'],
    says: [
      "config.yaml:6:31 firewall.public[2]: port 5432 is Postgres's: nothing of ours listens there, and nothing should",
    ],
  },
  {
    name: 'a bucket without a provider',
    yaml: [WEB, 'backups: { bucket: acme-backups }'],
    says: ['config.yaml:6:20 backups.bucket: needs backups.provider: a bucket is at a provider'],
  },
  {
    name: 'an unknown provider',
    yaml: [
      WEB,
      'storage:',
      '  providers:',
      '    main: { kind: s3, endpoint: https://s3.example.com, secretRef: MAIN }',
      'backups: { provider: mian, bucket: acme-backups }',
    ],
    says: [
      'config.yaml:9:22 backups.provider: no provider mian in storage.providers (did you mean main?)',
    ],
  },
  {
    name: 'a provider without a bucket',
    yaml: [
      WEB,
      'storage:',
      '  providers:',
      '    main: { kind: s3, endpoint: https://s3.example.com, secretRef: MAIN }',
      'backups: { provider: main }',
    ],
    says: ['config.yaml:9:22 backups.provider: is of kind s3: needs backups.bucket'],
  },
  {
    name: 'R2 without an account',
    yaml: [WEB, 'storage:', '  providers:', '    r2: { kind: r2, secretRef: R2 }'],
    says: ['config.yaml:8:5 storage.providers.r2: needs accountSecret or endpoint'],
  },
  {
    name: 'versioning on R2',
    yaml: [
      WEB,
      'storage:',
      '  providers:',
      '    r2: { kind: r2, accountSecret: R2_ACCOUNT, secretRef: R2 }',
      '  buckets:',
      '    docs: { provider: r2, name: acme-docs, versioning: true }',
    ],
    says: [
      'config.yaml:10:56 storage.buckets.docs.versioning: R2 has no versioning: use a copy job or another provider',
    ],
  },
  {
    name: 'GLACIER on R2',
    yaml: [
      WEB,
      'storage:',
      '  providers:',
      '    r2: { kind: r2, accountSecret: R2_ACCOUNT, secretRef: R2 }',
      'backups: { provider: r2, bucket: acme-backups, storageClass: GLACIER }',
    ],
    says: ['config.yaml:9:62 backups.storageClass: R2 has no GLACIER: use STANDARD or STANDARD_IA'],
  },
  {
    name: 'an archive tier on R2',
    yaml: [
      WEB,
      'storage:',
      '  providers:',
      '    r2: { kind: r2, accountSecret: R2_ACCOUNT, secretRef: R2 }',
      '  buckets:',
      '    docs: { provider: r2, name: acme-docs, lifecycle: { archiveAfter: 90d } }',
    ],
    says: [
      'config.yaml:10:71 storage.buckets.docs.lifecycle.archiveAfter: R2 has no archive tier: use infrequentAfter or deleteAfter',
    ],
  },
  {
    name: 'a lifecycle that runs backwards',
    yaml: [
      WEB,
      'storage:',
      '  providers:',
      '    main: { kind: s3, endpoint: https://s3.example.com, secretRef: MAIN }',
      '  buckets:',
      '    docs: { provider: main, name: acme-docs, lifecycle: { infrequentAfter: 90d, deleteAfter: 30d } }',
    ],
    says: [
      'config.yaml:10:94 storage.buckets.docs.lifecycle.deleteAfter: has to come after infrequentAfter',
    ],
  },
  {
    name: 'an unknown bucket at the edge',
    yaml: [WEB, 'edgeCache: [{ host: cdn.example.com, origin: "bucket:docs" }]'],
    says: ['config.yaml:6:46 edgeCache[0].origin: no bucket docs in storage.buckets'],
  },
  {
    name: 'a job of an unknown volume',
    yaml: [
      'services:',
      '  web: { image: ghcr.io/acme/web:1.4.2, volumes: [{ name: uploads, mount: /data }] }',
      'backups: { jobs: [{ name: files, source: "volume:uplaods", cron: "0 2 * * *" }] }',
    ],
    says: ['config.yaml:6:42 backups.jobs[0].source: no volume uplaods (did you mean uploads?)'],
  },
  {
    name: 'a job of Postgres without Postgres',
    yaml: [WEB, 'backups: { jobs: [{ name: daily, source: postgres, cron: "0 2 * * *" }] }'],
    says: [
      'config.yaml:6:42 backups.jobs[0].source: no postgres: no service uses it and there is no section postgres',
    ],
  },
  {
    name: 'the same job twice',
    yaml: [
      WEB,
      'postgres: {}',
      'backups:',
      '  jobs:',
      '    - { name: daily, source: postgres, cron: "0 2 * * *" }',
      '    - { name: daily, source: postgres, cron: "0 3 * * *" }',
    ],
    says: ['config.yaml:10:15 backups.jobs[1].name: there is a job daily already'],
  },
  {
    name: 'a job with the name of one of ours',
    yaml: [
      WEB,
      'postgres: {}',
      'backups: { jobs: [{ name: drill, source: postgres, cron: "0 2 * * *" }] }',
    ],
    says: [
      'config.yaml:7:27 backups.jobs[0].name: drill is kept for a job of holdfast itself: choose another name',
    ],
  },
  {
    name: 'a copy of an unknown job',
    yaml: [
      WEB,
      'postgres: {}',
      'backups:',
      '  jobs:',
      '    - { name: daily, source: postgres, cron: "0 2 * * *" }',
      '    - { name: copy, source: "backup:dayly", cron: "0 3 * * *" }',
    ],
    says: ['config.yaml:10:29 backups.jobs[1].source: no job dayly (did you mean daily?)'],
  },
  {
    name: 'a method that does not fit',
    yaml: [
      WEB,
      'redis: {}',
      'backups: { jobs: [{ name: daily, source: redis, method: logical, cron: "0 2 * * *" }] }',
    ],
    says: ['config.yaml:7:57 backups.jobs[0].method: redis is saved by archive, not by logical'],
  },
  {
    name: 'a copy to where it comes from, or of a copy',
    yaml: [
      WEB,
      'redis: {}',
      'storage: { providers: { a: { kind: directory, path: /srv/a }, b: { kind: directory, path: /srv/a }, c: { kind: directory, path: /srv/c } } }',
      'backups:',
      '  provider: a',
      '  jobs:',
      '    - { name: r, source: redis, cron: "0 2 * * *" }',
      '    - { name: one, source: "backup:r", cron: "0 2 * * *" }',
      '    - { name: two, source: "backup:r", provider: b, cron: "0 2 * * *" }',
      '    - { name: three, source: "backup:r", provider: c, cron: "0 2 * * *" }',
      '    - { name: four, source: "backup:three", cron: "0 2 * * *" }',
    ],
    says: [
      'config.yaml:12:7 backups.jobs[1].provider: is where r keeps its backups: name another provider',
      'config.yaml:13:50 backups.jobs[2].provider: is where r keeps its backups: name another provider',
      'config.yaml:15:7 backups.jobs[4].provider: three copies too: name the job that makes the backups',
    ],
  },
  {
    name: 'a lock where the store has none',
    yaml: [
      WEB,
      'redis: {}',
      'storage: { providers: { r2: { kind: r2, endpoint: "https://r2.example.com", secretRef: R }, s3: { kind: s3, endpoint: "https://s3.example.com", secretRef: S } } }',
      'backups:',
      '  provider: r2',
      '  bucket: acme-backups',
      '  objectLock: 30d',
      '  jobs:',
      '    - { name: r, source: redis, cron: "0 2 * * *", provider: s3 }',
      '    - { name: here, source: redis, cron: "0 2 * * *", provider: local, objectLock: 7d }',
    ],
    says: [
      'config.yaml:11:15 backups.objectLock: R2 has no object lock: use an S3 provider that has, or leave objectLock out',
      'config.yaml:14:84 backups.jobs[1].objectLock: a directory has no object lock: use an S3 provider that has, or leave objectLock out',
    ],
  },
  {
    name: 'an accessory that cannot dump',
    yaml: [
      WEB,
      'accessories:',
      '  mongo: { image: "docker.io/library/mongo:7.0" }',
      'backups: { jobs: [{ name: daily, source: mongo, cron: "0 2 * * *" }] }',
    ],
    says: ['config.yaml:8:42 backups.jobs[0].source: accessory mongo has no dump command'],
  },
  {
    name: 'a receiver without a channel',
    yaml: [WEB, 'alerting: { receivers: { ops: { severities: [page] } } }'],
    says: [
      'config.yaml:6:26 alerting.receivers.ops: needs one of email, slack, discord, webhook, pagerduty',
    ],
  },
  {
    name: 'a stream of an unknown service',
    yaml: [WEB, 'logs: { streams: [{ name: errors, match: { service: wbe } }] }'],
    says: ['config.yaml:6:53 logs.streams[0].match.service: no service wbe (did you mean web?)'],
  },
  {
    name: 'two nodes at one address',
    yaml: [
      WEB,
      'nodes:',
      '  - { name: one, host: 203.0.113.1 }',
      '  - { name: two, host: 203.0.113.1, roles: [app] }',
    ],
    says: ['config.yaml:8:24 nodes[1].host: there is a node at 203.0.113.1 already'],
  },
  {
    name: 'nodes without an edge',
    yaml: [WEB, 'nodes:', '  - { name: one, host: 203.0.113.1, roles: [app] }'],
    says: ['config.yaml:7:3 nodes: no node has the role edge'],
  },
  {
    name: 'a rate of base backups that no server takes',
    yaml: [WEB, 'postgres: { pitr: { maxRate: 2g } }'],
    says: ['config.yaml:6:30 postgres.pitr.maxRate: expected from 32k to 1g, got 2147483648'],
  },
  {
    name: 'a window that never opens',
    yaml: [WEB, 'updates: { window: { from: "02:00", to: "02:00" } }'],
    says: ['config.yaml:6:41 updates.window.to: is the same as from: the window never opens'],
  },
];

for (const { name, yaml, says } of rows) {
  t.test(name, async (t) => {
    t.strictSame(problemsOf([BASE, ...yaml].join('\n')), says);
  });
}
