import { createHash } from 'node:crypto';
import t from 'tap';
import { aclLines } from '../../installer/components/redis/acl.ts';
import { memoryLimit } from '../../installer/components/redis/memory.ts';
import { redisUser, redisUserSecret } from '../../installer/components/redis/names.ts';
import { addPasswordInput } from '../../installer/components/redis/password.ts';
import { Secret } from '../../installer/model/secret.ts';
import { generated } from '../support/component-input.ts';
import { fileText, renderedData } from '../support/rendered.ts';

const MIB = 1024 ** 2;
const WEB = 'services:\n  web: { image: "ghcr.io/acme/app:1", port: 3000, uses: [redis] }';

t.test('a queue loses nothing and says so, a cache makes room', async (t) => {
  const queue = fileText(renderedData(`redis: {}\n${WEB}`), 'redis.conf');
  t.match(queue, /^maxmemory-policy noeviction$/m);
  t.match(queue, /^appendonly yes$/m);
  t.match(queue, /^save ""$/m);
  const cache = fileText(
    renderedData(`redis: { purpose: cache, persistence: none, maxMemory: 64m }\n${WEB}`),
    'redis.conf',
  );
  t.match(cache, /^maxmemory 67108864$/m);
  t.match(cache, /^maxmemory-policy allkeys-lru$/m);
  t.match(cache, /^appendonly no$/m);
  const rdb = fileText(renderedData(`redis: { persistence: rdb }\n${WEB}`), 'redis.conf');
  t.match(rdb, /^save 3600 1$/m);
  t.match(rdb, /^appendonly no$/m);
});

t.test('without persistence there is no volume, and data in memory only', async (t) => {
  const desired = renderedData(`redis: { persistence: none }\n${WEB}`);
  t.strictSame(Object.keys(desired.stack.volumes), []);
  t.match(desired.stack.services['redis']?.tmpfs, [/^\/data:/]);
  const kept = renderedData(WEB);
  t.strictSame(Object.keys(kept.stack.volumes), ['redis-data']);
});

t.test('the limit leaves room for fragmentation and a forked child', async (t) => {
  t.equal(memoryLimit(128 * MIB), 240 * MIB);
  t.equal(memoryLimit(1024 * MIB), 1584 * MIB);
});

t.test('the server is on internal networks only, and hardened', async (t) => {
  const desired = renderedData(WEB);
  const server = desired.stack.services['redis'];
  for (const network of Object.keys(server?.networks ?? {})) {
    t.equal(desired.stack.networks[network]?.internal, true, network);
  }
  t.match(server, { user: '999:999', pids_limit: 64 });
  t.equal(server?.cap_add, undefined);
  t.equal(server?.ports, undefined);
});

t.test('passwords stand in the users’ file as hashes, for uid 999 alone', async (t) => {
  const desired = renderedData(WEB);
  const file = [...desired.files.values()].find(({ path }) => path.endsWith('users.acl'));
  t.match(file, { mode: 0o400, uid: 999, secret: true });
  const password = generated(redisUserSecret('web')).reveal();
  const hash = createHash('sha256').update(password).digest('hex');
  t.ok(file?.content.includes(`user web on #${hash} `));
  t.notOk(file?.content.includes(password));
  t.match(file?.content, /^user default off resetpass ~\* &\* \+@all$/m);
});

t.test('only those who fill a cache may empty it', async (t) => {
  const lines = (purpose: 'cache' | 'queue') =>
    aclLines(purpose, new Secret('a'), new Secret('m'), [
      { name: 'web', password: new Secret('w') },
    ]);
  t.match(lines('cache').at(-1), /\+flushdb$/);
  t.notMatch(lines('queue').at(-1), /flushdb/);
});

t.test(
  'another administrator’s password makes another container, any other does not',
  async (t) => {
    const spec = (stored: Record<string, string>) =>
      renderedData(WEB, { stored }).specs.get('redis');
    t.not(spec({ REDIS_ADMIN_PASSWORD: 'another' }), spec({}));
    t.equal(spec({ [redisUserSecret('web')]: 'another' }), spec({}));
  },
);

t.test('users of services are theirs, whatever the services are called', async (t) => {
  const names = ['default', 'service-default', 'web', 'holdfast-admin'].map(redisUser);
  t.equal(new Set(names).size, names.length);
  for (const name of names) t.notMatch(name, /^(?:default|holdfast_.*)$/);
});

t.test('a password of any characters is one word of the input', async (t) => {
  const input = addPasswordInput(new Secret('a "b"\n\\ é'), 'web', new Secret('next'));
  t.match(input, /^AUTH holdfast_admin "(?:\\x[0-9a-f]{2})+"\nACL SETUSER web #[0-9a-f]{64}\n$/);
});
