import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import t from 'tap';
import { allNeeds } from '../../installer/cli/needs.ts';
import { components } from '../../installer/components/registry.ts';
import type { BadConfig } from './support.ts';
import { BASE, configOf, problemsOf, ROOT, WEB } from './support.ts';

/** Rules that span the keys of services, accessories and routes. */
const rows: readonly BadConfig[] = [
  {
    name: 'no service and no site',
    yaml: ['environment: staging'],
    says: ['config.yaml:1:1 needs at least one service or site'],
  },
  {
    name: 'a service without an image',
    yaml: ['services:', '  web: { port: 3000 }'],
    says: ['config.yaml:5:3 services.web: needs an image or a build'],
  },
  {
    name: 'an image and a build',
    yaml: [
      'services:',
      '  web:',
      '    image: ghcr.io/acme/web:1.4.2',
      '    build: { context: ./web }',
    ],
    says: ['config.yaml:7:5 services.web.build: has an image as well: keep one of them'],
  },
  {
    name: 'more replicas of peers than their network has addresses',
    yaml: [
      'services:',
      '  web: { image: "a/b:1", port: 3000, routes: [{ path: / }], replicas: 24, peers: [api] }',
      '  api: { image: "a/b:1", port: 3000, replicas: { min: 14, max: 28 } }',
      '  lone: { image: "a/b:1", replicas: 28 }',
    ],
    says: [
      'config.yaml:6:3 services.api: with its peers web it has at least 38 replicas, and 24 more in a release, and their network has 61 addresses: lower `replicas`, or name fewer `peers`',
    ],
  },
  {
    name: 'a name that every mapping has',
    yaml: [WEB, 'accessories:', '  constructor: { image: "a/b:1" }'],
    says: [
      'config.yaml:7:3 accessories.constructor: no table of names can hold constructor: choose another name',
    ],
  },
  {
    name: 'an accessory whose variables are those of Postgres',
    yaml: [
      'services:',
      '  web: { image: "a/b:1", port: 3000, uses: [postgres, database] }',
      '  api: { image: "a/b:1", uses: [database] }',
      'accessories:',
      '  database: { image: "mysql:8.4", port: 3306 }',
    ],
    says: [
      'config.yaml:8:3 accessories.database: its DATABASE_HOST hides that of Postgres from services.web: choose another name',
    ],
  },
  {
    name: 'metrics of an accessory without a port',
    yaml: [WEB, 'accessories:', '  search: { image: "a/b:1", metrics: {} }'],
    says: ['config.yaml:7:38 accessories.search.metrics: needs a port, here or at the accessory'],
  },
  {
    name: 'an image without a tag',
    yaml: ['services:', '  web: { image: ghcr.io/acme/web }'],
    says: [
      'config.yaml:5:17 services.web.image: the image names no version: add a tag such as ghcr.io/acme/web:1.4.2, or a digest',
    ],
  },
  {
    name: 'an image by latest',
    yaml: ['services:', '  web: { image: "registry.example.com:5000/web:latest" }'],
    says: [
      'config.yaml:5:17 services.web.image: latest is a different image every day: name a version such as registry.example.com:5000/web:1.4.2, or a digest',
    ],
  },
  {
    name: 'an accessory by latest',
    yaml: [WEB, 'accessories:', '  search: { image: "docker.io/getmeili/meilisearch:latest" }'],
    says: [
      'config.yaml:7:20 accessories.search.image: latest is a different image every day: name a version such as docker.io/getmeili/meilisearch:1.4.2, or a digest',
    ],
  },
  {
    name: 'the same route twice',
    yaml: [
      'services:',
      '  web: { image: ghcr.io/acme/web:1.4.2, port: 3000, routes: [{ path: /api }] }',
      '  api: { image: ghcr.io/acme/api:1.4.2, port: 3000, routes: [{ host: app.example.com, path: /api/ }] }',
    ],
    says: [
      'config.yaml:6:62 services.api.routes[0]: app.example.com/api/ already leads to service web',
    ],
  },
  {
    name: 'a site on the host of a service',
    yaml: [
      'services:',
      '  web: { image: ghcr.io/acme/web:1.4.2, port: 3000, routes: [{ path: / }] }',
      'sites:',
      '  front: { artifact: ./dist, hosts: [app.example.com] }',
    ],
    says: ['config.yaml:7:38 sites.front.hosts[0]: app.example.com/ already leads to service web'],
  },
  {
    name: 'Grafana on the host of a service',
    yaml: [
      'services:',
      '  web: { image: ghcr.io/acme/web:1.4.2, port: 3000, routes: [{ path: / }] }',
      'monitoring: { grafana: { host: app.example.com } }',
    ],
    says: [
      'config.yaml:6:32 monitoring.grafana.host: app.example.com/ already leads to service web',
    ],
  },
  {
    name: 'Grafana on the host of the only service, which names no routes',
    yaml: [WEB, 'monitoring: { grafana: { host: app.example.com } }'],
    says: [
      'config.yaml:6:32 monitoring.grafana.host: app.example.com/ already leads to service web',
    ],
  },
  {
    name: 'an edge cache on the host of a service, under another path',
    yaml: [
      'services:',
      '  web: { image: ghcr.io/acme/web:1.4.2, port: 3000, routes: [{ path: /api }] }',
      'edgeCache: [{ host: app.example.com, origin: "https://files.example.org" }]',
    ],
    says: [
      'config.yaml:6:21 edgeCache[0].host: app.example.com leads to service web already: an edge cache needs a host of its own',
    ],
  },
  {
    name: 'edge caches on the domain, on the host of Grafana and on one another',
    yaml: [
      'services:',
      '  web: { image: ghcr.io/acme/web:1.4.2 }',
      'edgeCache:',
      '  - { host: app.example.com, origin: "https://files.example.org" }',
      '  - { host: grafana.app.example.com, origin: "https://files.example.org" }',
      '  - { host: cdn.example.com, origin: "https://files.example.org" }',
      '  - { host: cdn.example.com, origin: "https://images.example.org" }',
    ],
    says: [
      'config.yaml:7:13 edgeCache[0].host: app.example.com is the domain already: an edge cache needs a host of its own',
      'config.yaml:8:13 edgeCache[1].host: grafana.app.example.com leads to Grafana already: an edge cache needs a host of its own',
      'config.yaml:10:13 edgeCache[3].host: cdn.example.com leads to edgeCache[2] already: an edge cache needs a host of its own',
    ],
  },
  {
    name: 'routes without a port',
    yaml: ['services:', '  web: { image: ghcr.io/acme/web:1.4.2, routes: [{ path: / }] }'],
    says: ['config.yaml:5:49 services.web.routes: the service has routes but no port'],
  },
  {
    name: 'a use of nothing',
    yaml: ['services:', '  web: { image: ghcr.io/acme/web:1.4.2, uses: [postgress] }'],
    says: [
      'config.yaml:5:48 services.web.uses[0]: no accessory postgress (did you mean postgres?)',
    ],
  },
  {
    name: 'a use of an inherited name',
    yaml: ['services:', '  web: { image: ghcr.io/acme/web:1.4.2, uses: [constructor] }'],
    says: ['config.yaml:5:48 services.web.uses[0]: no accessory constructor'],
  },
  {
    name: 'a use of an unknown bucket',
    yaml: ['services:', '  web: { image: ghcr.io/acme/web:1.4.2, uses: ["bucket:docs"] }'],
    says: ['config.yaml:5:48 services.web.uses[0]: no bucket docs in storage.buckets'],
  },
  {
    name: 'an unknown profile',
    yaml: [
      'profiles:',
      '  backend: { dbPool: 5 }',
      'services:',
      '  web: { profile: backnd, image: ghcr.io/acme/web:1.4.2 }',
    ],
    says: ['config.yaml:7:19 services.web.profile: no profile backnd (did you mean backend?)'],
  },
  {
    name: 'an unknown peer',
    yaml: [
      'services:',
      '  web: { image: ghcr.io/acme/web:1.4.2, peers: [apy] }',
      '  api: { image: ghcr.io/acme/api:1.4.2, port: 3000 }',
    ],
    says: ['config.yaml:5:49 services.web.peers[0]: no service apy (did you mean api?)'],
  },
  {
    name: 'a peer without a port',
    yaml: [
      'services:',
      '  web: { image: ghcr.io/acme/web:1.4.2, peers: [worker] }',
      '  worker: { image: ghcr.io/acme/worker:1.4.2 }',
    ],
    says: ['config.yaml:5:49 services.web.peers[0]: service worker has no port to reach'],
  },
  {
    name: 'an unknown rate limit',
    yaml: [
      'services:',
      '  web: { image: ghcr.io/acme/web:1.4.2, port: 3000, routes: [{ rateLimit: logn }] }',
      'http: { rateLimits: [{ name: login, limit: 5 }] }',
    ],
    says: [
      'config.yaml:5:75 services.web.routes[0].rateLimit: no limit logn in http.rateLimits (did you mean login?)',
    ],
  },
  {
    name: 'the same limit twice',
    yaml: [WEB, 'http: { rateLimits: [{ name: api, limit: 5 }, { name: api, limit: 6 }] }'],
    says: ['config.yaml:6:55 http.rateLimits[1].name: there is a limit api already'],
  },
  {
    name: 'more at least than at most',
    yaml: ['services:', '  web: { image: ghcr.io/acme/web:1.4.2, replicas: { min: 3, max: 2 } }'],
    says: ['config.yaml:5:66 services.web.replicas.max: is 2, less than min, which is 3'],
  },
  {
    name: 'scaling that swings',
    yaml: [
      'services:',
      '  web: { image: ghcr.io/acme/web:1.4.2, replicas: { min: 1, max: 2, scaleDown: { cpu: 80 } } }',
    ],
    says: [
      'config.yaml:5:51 services.web.replicas: scaleDown.cpu is 80, not less than scaleUp.cpu, which is 70: replicas would come and go',
    ],
  },
  {
    name: 'more connections than Postgres has',
    yaml: [
      'services:',
      '  web: { image: ghcr.io/acme/web:1.4.2, replicas: { min: 1, max: 5 }, uses: [postgres], dbPool: 20 }',
      'postgres: { maxConnections: 100 }',
    ],
    says: [
      'config.yaml:6:29 postgres.maxConnections: services may open 100 database connections (web 5 × 20), more than 80, which is 80 % of postgres.maxConnections (100): lower dbPool or replicas, or raise maxConnections',
    ],
  },
  {
    name: 'a variable that is a secret too',
    yaml: [
      'services:',
      '  web: { image: ghcr.io/acme/web:1.4.2, env: { SMTP_HOST: mail }, secrets: [SMTP_HOST] }',
    ],
    says: [
      'config.yaml:5:48 services.web.env.SMTP_HOST: is a secret of the service too: keep one of them',
    ],
  },
  {
    name: 'a reserved name',
    yaml: ['services:', '  postgres: { image: ghcr.io/acme/web:1.4.2 }'],
    says: [
      'config.yaml:5:3 services.postgres: postgres is a part of the platform: choose another name',
    ],
  },
  {
    name: 'the name of the receiver of WAL',
    yaml: ['services:', '  postgres-wal: { image: ghcr.io/acme/web:1.4.2 }'],
    says: [
      'config.yaml:5:3 services.postgres-wal: postgres-wal is a part of the platform: choose another name',
    ],
  },
  {
    name: 'an accessory named as a service',
    yaml: [WEB, 'accessories:', '  web: { image: "docker.io/library/mongo:7.0" }'],
    says: ['config.yaml:7:3 accessories.web: there is a service web already'],
  },
  {
    name: 'a mount point twice',
    yaml: [
      'services:',
      '  web: { image: ghcr.io/acme/web:1.4.2, volumes: [{ name: one, mount: /data }, { name: two, mount: /data }] }',
    ],
    says: ['config.yaml:5:100 services.web.volumes[1].mount: another volume is at /data already'],
  },
  {
    name: 'a mount point twice, with and without a slash at the end, in an accessory too',
    yaml: [
      'services:',
      '  web: { image: ghcr.io/acme/web:1.4.2, volumes: [{ name: one, mount: /a/b }, { name: two, mount: /a//b/ }] }',
      'accessories:',
      '  search: { image: ghcr.io/acme/search:1, volumes: [{ name: three, mount: /a/ }, { name: four, mount: /a }] }',
    ],
    says: [
      'config.yaml:5:99 services.web.volumes[1].mount: another volume is at /a/b already',
      'config.yaml:7:103 accessories.search.volumes[1].mount: another volume is at /a already',
    ],
  },
  {
    name: 'volumes where the engine puts none',
    yaml: [
      'services:',
      '  web:',
      '    image: ghcr.io/acme/web:1.4.2',
      '    volumes:',
      '      - { name: one, mount: / }',
      '      - { name: two, mount: /proc }',
      '      - { name: three, mount: /sys/fs/ }',
      '      - { name: four, mount: //dev/shm }',
      '      - { name: five, mount: /run/secrets/more }',
      '      - { name: six, mount: /run/secretsauce }',
    ],
    says: [
      'config.yaml:8:29 services.web.volumes[0].mount: no volume can be at /: choose a folder of the program',
      'config.yaml:9:29 services.web.volumes[1].mount: no volume can be at /proc: choose a folder of the program',
      'config.yaml:10:31 services.web.volumes[2].mount: no volume can be at /sys/fs: choose a folder of the program',
      'config.yaml:11:30 services.web.volumes[3].mount: no volume can be at /dev/shm: choose a folder of the program',
      'config.yaml:12:30 services.web.volumes[4].mount: no volume can be at /run/secrets/more: choose a folder of the program',
    ],
  },
  {
    name: 'secrets of the platform, also as optional ones',
    yaml: [
      'profiles:',
      '  backend: { secrets: [REDIS_ADMIN_PASSWORD] }',
      'services:',
      '  web: { image: ghcr.io/acme/web:1.4.2, secrets: ["RESTORE_TEST_IDENTITY?", SMTP_PASSWORD] }',
      'accessories:',
      '  search: { image: ghcr.io/acme/search:1, secrets: [POSTGRES_SUPERUSER_PASSWORD] }',
    ],
    says: [
      'config.yaml:5:24 profiles.backend.secrets[0]: REDIS_ADMIN_PASSWORD is a secret of the platform: choose another name for one of the product',
      'config.yaml:7:51 services.web.secrets[0]: RESTORE_TEST_IDENTITY is a secret of the platform: choose another name for one of the product',
      'config.yaml:9:53 accessories.search.secrets[0]: POSTGRES_SUPERUSER_PASSWORD is a secret of the platform: choose another name for one of the product',
    ],
  },
  {
    name: 'a body expected of no path',
    yaml: ['services:', '  web: { image: ghcr.io/acme/web:1.4.2, health: { expect: ok } }'],
    says: [
      'config.yaml:5:59 services.web.health.expect: needs health.path: there is no body to look at',
    ],
  },
  {
    name: 'a seed without a database',
    yaml: ['services:', '  web: { image: ghcr.io/acme/web:1.4.2, seed: { file: ./seed.sql } }'],
    says: ['config.yaml:5:47 services.web.seed: needs `uses: [postgres]`'],
  },
];

for (const { name, yaml, says } of rows) {
  t.test(name, async (t) => {
    t.strictSame(problemsOf([BASE, ...yaml].join('\n')), says);
  });
}

t.test('nobody is given a secret that the platform makes for itself', async (t) => {
  const all = [WEB, 'http: { rateLimits: [{ name: api, limit: 5 }] }', 'redis: {}'];
  const config = configOf(...all, 'postgres: { pitr: { enabled: true } }');
  const made = allNeeds(components, config).secrets.filter(
    ({ generate }) => generate !== undefined,
  );
  t.ok(made.length >= 7, `${made.length} secrets`);
  for (const { name } of made) {
    const web = `{ image: ghcr.io/acme/web:1.4.2, secrets: [${name}] }`;
    t.match(problemsOf(`${BASE}\nservices: { web: ${web} }`).join(), 'is a secret of the platform');
  }
});

t.test('no service has the name of a container of the platform', async (t) => {
  const fragments = readdirSync(join(ROOT, 'compose')).map((file) => file.split('.')[0] ?? '');
  for (const name of fragments.filter((each) => each !== 'services' && each !== 'accessories')) {
    const problems = problemsOf(
      `${BASE}\nservices: { ${name}: { image: "ghcr.io/acme/web:1.4.2" } }`,
    );
    t.match(problems.join(), `${name} is a part of the platform`);
  }
});
