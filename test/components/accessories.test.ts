import t from 'tap';
import { accessories } from '../../installer/components/accessories/component.ts';
import { services } from '../../installer/components/services/component.ts';
import { loadConfig } from '../../installer/config/load.ts';
import { EMPTY_LOCK } from '../../installer/model/lock-file.ts';
import { mergeContributions } from '../../installer/render/merge.ts';
import { render } from '../../installer/render/render.ts';
import { configOf, inputOf, packageAssets } from '../support/component-input.ts';

const COMPONENTS = [services, accessories];
const BODY = `
services:
  orders: { image: "a:1", port: 3001, uses: [mongodb], routes: [{ path: / }] }
  planning: { image: "a:1", port: 3002, uses: [mongodb, search] }
  front: { image: "a:1", port: 3003 }
accessories:
  mongodb:
    image: docker.io/library/mongo:7.0
    port: 27017
    args: ["--replSet", "rs0"]
    env: { TZ: 'Europe/Paris $HOME' }
    secrets: [MONGO_PASSWORD, MONGO_KEY?]
    volumes: [{ name: mongo, mount: /data/db }]
    resources: { cpus: 1, memory: 1g }
    health: { command: [mongosh, --eval, ping], interval: 7s }
    dump: [mongodump, --archive]
  search: { image: "s:1", port: 7700, health: { path: /health }, metrics: { path: /metrics } }
  bare: { image: "x:1", volumes: [{ name: lost, mount: /data }] }
  alone: { image: "x:1", volumes: [{ name: kept, mount: /data, backup: { pause: true, pauseLimit: 2m, after: thaw it } }] }
`;
const config = configOf(BODY);
const input = inputOf(config, COMPONENTS, { stored: { MONGO_PASSWORD: 'pass "word" $1' } });
const { stack, files, httpChecks, notices } = render({
  ...input,
  components: COMPONENTS,
  assets: packageAssets(),
  lock: EMPTY_LOCK,
  configDigest: '0',
  newSecrets: new Map(),
  notices: [],
});

t.test('an accessory is limited, checked and hardened as the config says', async (t) => {
  t.match(stack.services['mongodb'], {
    image: 'docker.io/library/mongo:7.0',
    command: ['--replSet', 'rs0'],
    environment: { TZ: 'Europe/Paris $HOME' },
    mem_limit: 1024 ** 3,
    cpus: 1,
    healthcheck: { test: ['CMD', 'mongosh', '--eval', 'ping'], interval: '7s' },
    volumes: [{ type: 'volume', source: 'mongo', target: '/data/db' }],
    secrets: [{ target: '/run/secrets/MONGO_PASSWORD' }],
  });
  t.notOk(stack.services['mongodb']?.ports, 'nothing is published');
  t.match(httpChecks, [{ service: 'search', port: 7700, path: '/health' }]);
});

t.test('only the services that use it share a network with it, and none leads out', async (t) => {
  const networks = (service: string) => Object.keys(stack.services[service]?.networks ?? {});
  const shared = (a: string, b: string) => networks(a).filter((name) => networks(b).includes(name));
  t.strictSame(shared('orders', 'mongodb'), ['data-orders']);
  t.strictSame(shared('planning', 'search'), ['data-planning']);
  t.strictSame(shared('front', 'mongodb'), []);
  t.strictSame(shared('orders', 'search'), []);
  t.strictSame(networks('alone'), ['data-alone']);
  for (const accessory of ['mongodb', 'search', 'alone']) {
    for (const name of networks(accessory)) t.equal(stack.networks[name]?.internal, true, name);
  }
});

t.test('its users are told where it is, and start after it', async (t) => {
  t.match(stack.services['planning'], {
    environment: { MONGODB_HOST: 'mongodb', MONGODB_PORT: '27017', SEARCH_HOST: 'search' },
    depends_on: {
      mongodb: { condition: 'service_healthy' },
      search: { condition: 'service_started' },
    },
  });
  t.strictSame(stack.services['front']?.depends_on, {});
});

t.test(
  'a secret reaches it as a variable and as a file, and stands in no readable file',
  async (t) => {
    const holding = [...files.values()].filter(({ content }) => content.includes('pass "word"'));
    t.strictSame(
      holding.map(({ path, secret }) => ({ path, secret })),
      [{ path: `${input.paths.secretMounts}/mongodb/MONGO_PASSWORD`, secret: true }],
    );
    const environment = [...files.values()].find(({ path }) =>
      path.endsWith('compose.secrets.yaml'),
    );
    t.match(environment?.content, /mongodb[\s\S]*MONGO_PASSWORD/);
    t.notMatch(environment?.content, 'MONGO_KEY');
  },
);

t.test('each volume is saved, or the plan says that it is not', async (t) => {
  const all = mergeContributions([accessories.contribute?.(input) ?? {}]);
  t.match(all.backups, [
    {
      ...{ kind: 'volume', volume: 'app_kept', service: 'alone' },
      calm: { pause: true, pauseSeconds: 120, after: ['thaw', 'it'] },
    },
    {
      ...{ kind: 'accessory', name: 'mongodb', container: 'app-mongodb-1' },
      ...{ dump: ['mongodump', '--archive'], volumes: ['app_mongo'] },
    },
  ]);
  t.match(all.unbackedVolumes, [{ volume: 'mongo', reason: /the dump of accessory mongodb/ }]);
  t.match(notices, [{ text: /accessories\.bare: its volume lost is not backed up/ }]);
  t.match(all.scrapes, [{ job: 'search', service: 'search', port: 7700, path: '/metrics' }]);
});

t.test('a volume that a service mounts too is held still as its accessory asks', async (t) => {
  const shared = configOf(`
services:
  admin: { image: "a:1", volumes: [{ name: data, mount: /x }] }
accessories:
  db: { image: "x:1", volumes: [{ name: data, mount: /data, backup: { pause: true, before: flush } }, { name: own, mount: /o, backup: true }] }
`);
  const sharedInput = inputOf(shared, COMPONENTS);
  const all = mergeContributions(COMPONENTS.map((one) => one.contribute?.(sharedInput) ?? {}));
  t.match(all.backups, [
    { name: 'data', service: 'db', calm: { pause: true, before: ['flush'] } },
    { name: 'own', service: 'db' },
  ]);
  t.equal(all.backups.length, 2);
});

t.test('an accessory without an image, or with two, is refused', async (t) => {
  const says = (accessory: string) => {
    const text = `version: 1\ndomain: a.example.com\ncontact: o@example.com\nservices: { a: { image: "a:1", port: 1 } }\naccessories:\n  x: ${accessory}\n`;
    const loaded = loadConfig(text, 'config.yaml');
    return loaded.ok ? [] : loaded.problems.map(({ path, message }) => `${path}: ${message}`);
  };
  t.strictSame(says('{ port: 1 }'), ['accessories.x: needs an image or a build']);
  t.strictSame(says('{ image: "a:1", build: { context: ./x } }'), [
    'accessories.x.build: has an image as well: keep one of them',
  ]);
  t.strictSame(says('{ image: "a:1", health: { path: /h } }'), [
    'accessories.x.health: asks for a path, but the accessory has no port',
  ]);
  t.match(says('{ image: "a:1", volumes: [{ name: postgres-data, mount: /x }] }'), [/platform/]);
});
