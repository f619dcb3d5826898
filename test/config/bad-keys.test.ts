import t from 'tap';
import type { BadConfig } from './support.ts';
import { BASE, problemsOf, WEB } from './support.ts';

/** Unknown, misspelt and duplicate keys, and faults that come together. */
const rows: readonly BadConfig[] = [
  {
    name: 'a misspelt key of a service',
    yaml: [
      'services:',
      '  web: { image: ghcr.io/acme/web:1.4.2, prot: 3000, routes: [{ path: / }] }',
    ],
    says: ['config.yaml:5:41 services.web.prot: unknown key (did you mean port?)'],
  },
  {
    name: 'a misspelt section',
    yaml: [WEB, 'postgress: {}'],
    says: ['config.yaml:6:1 postgress: unknown key (did you mean postgres?)'],
  },
  {
    name: 'a key with other capitals',
    yaml: [WEB, 'redis: { maxmemory: 64m }'],
    says: ['config.yaml:6:10 redis.maxmemory: unknown key (did you mean maxMemory?)'],
  },
  {
    name: 'a key one level too high',
    yaml: ['services:', '  web: { image: ghcr.io/acme/web:1.4.2, memory: 512m }'],
    says: ['config.yaml:5:41 services.web.memory: unknown key (did you mean resources.memory?)'],
  },
  {
    name: 'a key that resembles nothing',
    yaml: [WEB, 'xyzzy: 1'],
    says: ['config.yaml:6:1 xyzzy: unknown key'],
  },
  {
    name: 'a YAML 1.1 merge key',
    yaml: [
      'services:',
      '  web: &base { image: ghcr.io/acme/web:1.4.2 }',
      '  api:',
      '    <<: *base',
      '    image: ghcr.io/acme/api:1.4.2',
    ],
    says: [
      'config.yaml:7:5 services.api["<<"]: unknown key (YAML 1.2 has no merge keys: put shared settings in a profile)',
    ],
  },
  {
    name: 'a duplicate key',
    yaml: [
      'services:',
      '  web:',
      '    image: ghcr.io/acme/web:1.4.2',
      '    port: 3000',
      '    port: 3001',
    ],
    says: ['config.yaml:8:5 services.web.port: the key is there twice'],
  },
  {
    name: 'a prototype key',
    yaml: [
      'services:',
      '  web: { image: ghcr.io/acme/web:1.4.2 }',
      '  __proto__: { image: ghcr.io/acme/web:1.4.2 }',
    ],
    says: ['config.yaml:6:3 services: the key is not allowed'],
  },
  {
    name: 'a storage provider without a kind',
    yaml: [WEB, 'storage:', '  providers:', '    main: { path: /mnt/backup }'],
    says: [
      'config.yaml:8:5 storage.providers.main.kind: is missing: expected one of s3, r2, directory',
    ],
  },
  {
    name: 'all problems at once, in the order of the text',
    yaml: [
      'services:',
      '  web:',
      '    image: ghcr.io/acme/web:latest',
      '    prot: 3000',
      '    replicas: two',
      '    uses: [mongo]',
      '    env: { DB_PASSWORD: hunter2 }',
      'tls: { hsts: { preload: true } }',
      'backups: { provider: elsewhere }',
    ],
    says: [
      'config.yaml:6:12 services.web.image: latest is a different image every day: name a version such as ghcr.io/acme/web:1.4.2, or a digest',
      'config.yaml:7:5 services.web.prot: unknown key (did you mean port?)',
      'config.yaml:8:15 services.web.replicas: expected a whole number from 1 to 28, got "two"',
      'config.yaml:9:12 services.web.uses[0]: no accessory mongo',
      'config.yaml:10:25 services.web.env.DB_PASSWORD: holds a secret by its name: write DB_PASSWORD under secrets and store it with `holdfast secrets set DB_PASSWORD`',
      'config.yaml:11:25 tls.hsts.preload: needs includeSubDomains: true',
      'config.yaml:12:22 backups.provider: no provider elsewhere in storage.providers',
    ],
  },
  {
    name: 'a fault does not cause others',
    yaml: [
      'services:',
      '  web: { image: Not An Image, port: 3000, uses: [mongo] }',
      'accessories:',
      '  mongo: { image: 7 }',
    ],
    says: [
      'config.yaml:5:17 services.web.image: expected an image such as ghcr.io/acme/web:1.4.2, got "Not An Image"',
      'config.yaml:7:19 accessories.mongo.image: expected an image such as ghcr.io/acme/web:1.4.2, got 7',
    ],
  },
];

for (const { name, yaml, says } of rows) {
  t.test(name, async (t) => {
    t.strictSame(problemsOf([BASE, ...yaml].join('\n')), says);
  });
}
