import t from 'tap';
import { redisUserSecret } from '../../installer/components/redis/names.ts';
import {
  ACCEPTED,
  addPasswordInput,
  REDIS_CLI,
} from '../../installer/components/redis/password.ts';
import { Secret } from '../../installer/model/secret.ts';
import { generated } from '../support/component-input.ts';
import { type DataStack, dataStack } from './support/data-stack.ts';
import { docker, until } from './support/docker.ts';

const APP = 'image: "IMAGE", port: 3000, args: [node, -e, "setInterval(() => {}, 1e6)"]';
const BODY = `
services:
  web: { ${APP}, uses: [redis] }
  alone: { ${APP} }
`;

const CLIENT = ['redis-cli', '-e', '-h', 'redis', '--no-auth-warning'];

const passwordOf = (service: string) => generated(redisUserSecret(service)).reveal();

/** A command of a user over TCP, from inside the server's container since that is quicker to start. */
function ask(stack: DataStack, user: string, password: string, ...command: string[]) {
  return stack.exec('redis', [...CLIENT, '--user', user, ...command], {
    env: [`REDISCLI_AUTH=${password}`],
  });
}

const loadUsers = (desired: DataStack['desired']) =>
  desired.provisions.find(({ id }) => id === 'redis:users');

t.test('a Redis server as rendered', async (t) => {
  const stack = await dataStack(t, BODY);
  await stack.up('redis');
  const web = (...command: string[]) => ask(stack, 'web', passwordOf('web'), ...command);

  await t.test('lets in a service with its password, and nobody without', async (t) => {
    const overNetwork = await stack.client(
      'redis',
      'data-web',
      [...CLIENT, '--user', 'web', 'SET', 'key', 'value'],
      [`REDISCLI_AUTH=${passwordOf('web')}`],
    );
    t.equal(overNetwork.stdout.trim(), 'OK');
    t.match((await ask(stack, 'web', 'wrong', 'GET', 'key')).stderr, /WRONGPASS|NOAUTH/);
    t.match((await ask(stack, 'default', '', 'GET', 'key')).stderr, /NOAUTH|WRONGPASS/);
    t.match(
      (await ask(stack, 'other', passwordOf('web'), 'GET', 'key')).stderr,
      /WRONGPASS|NOAUTH/,
    );
  });

  await t.test('gives a service what queues need, and keeps the server to itself', async (t) => {
    for (const command of [
      ['INFO', 'server'],
      ['CLIENT', 'LIST'],
      ['CLIENT', 'SETNAME', 'worker'],
      ['EVAL', 'return redis.call("INCR", KEYS[1])', '1', 'counter'],
      ['XADD', 'jobs', '*', 'a', '1'],
      ['XGROUP', 'CREATE', 'jobs', 'workers', '$'],
      ['BRPOPLPUSH', 'none', 'none', '0.01'],
      ['PUBLISH', 'channel', 'x'],
      ['SCAN', '0'],
      ['ROLE'],
    ]) {
      const { code, stderr } = await web(...command);
      t.equal(code, 0, `${command.join(' ')} ${stderr}`);
    }
    for (const command of [
      ['FLUSHALL'],
      ['FLUSHDB'],
      ['CONFIG', 'SET', 'dir', '/tmp'],
      ['CONFIG', 'GET', '*'],
      ['ACL', 'LIST'],
      ['ACL', 'SETUSER', 'web', 'allcommands'],
      ['SHUTDOWN', 'NOSAVE'],
      ['DEBUG', 'SLEEP', '0'],
      ['MODULE', 'LIST'],
      ['REPLICAOF', '127.0.0.1', '1'],
      ['MONITOR'],
      ['SAVE'],
      ['SWAPDB', '0', '1'],
      ['MIGRATE', 'x', '1', 'key', '0', '1'],
    ]) {
      t.match(
        (await web(...command)).stderr,
        /NOPERM|DEBUG command not allowed/,
        command.join(' '),
      );
    }
  });

  await t.test('lets the exporter see figures and no key', async (t) => {
    const password = generated('REDIS_MONITOR_PASSWORD').reveal();
    const monitor = (...command: string[]) => ask(stack, 'holdfast_monitor', password, ...command);
    t.match((await monitor('INFO', 'memory')).stdout, /used_memory:/);
    t.match((await monitor('CONFIG', 'GET', 'maxmemory')).stdout, /134217728/);
    for (const command of [
      ['GET', 'key'],
      ['KEYS', '*'],
      ['CONFIG', 'SET', 'maxmemory', '1'],
    ]) {
      t.match((await monitor(...command)).stderr, /NOPERM/, command.join(' '));
    }
  });

  await t.test('has a health check that needs no password and may do nothing else', async (t) => {
    t.equal((await ask(stack, 'holdfast_health', 'none', 'PING')).stdout.trim(), 'PONG');
    for (const command of [['INFO'], ['GET', 'key'], ['ACL', 'WHOAMI'], ['SUBSCRIBE', 'x']]) {
      t.match((await ask(stack, 'holdfast_health', 'none', ...command)).stderr, /NOPERM/);
    }
  });

  await t.test('is out of reach for a service that does not use it', async (t) => {
    const { code, stdout, stderr } = await stack.client('redis', 'app-alone', [
      'redis-cli',
      '-e',
      '-h',
      'redis',
      '-t',
      '2',
      'PING',
    ]);
    t.not(code, 0);
    t.notMatch(stdout + stderr, /PONG|NOAUTH/);
  });

  await t.test('keeps what was written, also when it is killed', async (t) => {
    await web('SET', 'precious', 'data');
    // More than one write of a script becomes a transaction in the file, as a queue's jobs do.
    const script = 'redis.call("SET", KEYS[1], "a") redis.call("RPUSH", KEYS[2], "b")';
    await web('EVAL', script, '2', 'by-script', 'list-by-script');
    // appendfsync everysec: at most a second is lost.
    await until('the AOF is written out', 5, async () => {
      const info = await web('INFO', 'persistence');
      return /aof_pending_bio_fsync:0/.test(info.stdout) && /aof_buffer_length:0/.test(info.stdout);
    });
    const container = `${stack.project}-redis-1`;
    await docker('kill', '--signal', 'KILL', container);
    await docker('start', container);
    const read = await until('it answers again', 20, async () => {
      const { code, stdout } = await web('GET', 'precious');
      return code === 0 ? stdout.trim() : undefined;
    });
    t.equal(read, 'data');
    t.equal((await web('GET', 'by-script')).stdout.trim(), 'a');
    t.equal((await web('LRANGE', 'list-by-script', '0', '-1')).stdout.trim(), 'b');
  });

  await t.test('keeps what was written when it is kept in another way', async (t) => {
    const written = ['precious'];
    for (const persistence of ['rdb', 'aof', 'rdb', 'aof']) {
      await stack.change(`redis: { persistence: ${persistence} }\n${BODY}`);
      await docker('restart', `${stack.project}-redis-1`);
      const read = await until('it answers again', 20, async () => {
        const { code, stdout } = await web('MGET', ...written);
        return code === 0 ? stdout : undefined;
      });
      t.same(
        read.trim().split('\n'),
        written.map(() => 'data'),
        persistence,
      );
      const key = `${persistence}-${written.length}`;
      await web('SET', key, 'data');
      written.push(key);
    }
    // The AOF was newer than the dump of before, which is not thrown away.
    t.match(await docker('exec', `${stack.project}-redis-1`, 'ls', '/data'), /^dump[.]rdb[.]of-/m);
    const open = ['find', '/data', '-type', 'f', '-perm', '/077'];
    t.equal(
      await docker('exec', `${stack.project}-redis-1`, ...open),
      '',
      'only the server reads it',
    );
  });

  await t.test('reads no AOF that an older version laid down and left behind', async (t) => {
    const container = `${stack.project}-redis-1`;
    const inside = (script: string) =>
      docker('exec', container, 'sh', '-euc', `cd /data; ${script}`);
    const restart = async (persistence: string) => {
      await stack.change(`redis: { persistence: ${persistence} }\n${BODY}`);
      await docker('restart', container);
    };
    const read = () =>
      until('it answers again', 20, async () => {
        const { code, stdout } = await web('GET', 'precious');
        return code === 0 ? stdout.trim() : undefined;
      });
    await restart('rdb');
    await read();
    for (const persistence of ['rdb', 'aof']) {
      await web('SET', 'precious', 'of the restore');
      const password = generated('REDIS_ADMIN_PASSWORD').reveal();
      await ask(stack, 'holdfast_admin', password, 'SAVE');
      await inside(
        `rm -rf appendonlydir persistence; mkdir appendonlydir
         cp dump.rdb appendonlydir/appendonly.aof.1.base.rdb
         echo "file appendonly.aof.1.base.rdb seq 1 type b" >appendonlydir/appendonly.aof.manifest
         touch -d '1 month ago' appendonlydir/* appendonlydir`,
      );
      await web('SET', 'precious', 'data');
      await restart(persistence);
      t.equal(await read(), 'data', persistence);
      t.match(await inside('ls'), /^appendonlydir[.]of-/m, 'it is kept');
      await inside('rm -r appendonlydir.of-*');
    }
  });

  await t.test('refuses writes when a queue is full rather than dropping jobs', async (t) => {
    const password = generated('REDIS_ADMIN_PASSWORD').reveal();
    const admin = (...command: string[]) => ask(stack, 'holdfast_admin', password, ...command);
    await admin('CONFIG', 'SET', 'maxmemory', '200kb');
    t.match((await web('SET', 'big', 'x')).stderr, /OOM/);
    t.equal((await web('GET', 'precious')).stdout.trim(), 'data');
    await admin('CONFIG', 'SET', 'maxmemory', '128mb');
  });

  await t.test('takes up new users while connections stay open', async (t) => {
    const before = (await web('CLIENT', 'LIST')).code;
    t.equal(before, 0);
    const listener = web('BLPOP', 'wake', '60');
    await until('the listener waits', 10, async () =>
      /cmd=blpop/.test((await web('CLIENT', 'LIST')).stdout),
    );
    const changed = await stack.change(`${BODY}  shop: { ${APP}, uses: [redis] }\n`);
    const loaded = await stack.provision(loadUsers(changed));
    t.equal(loaded.code, 0, loaded.stderr);
    t.equal((await ask(stack, 'shop', passwordOf('shop'), 'SET', 'a', '1')).stdout.trim(), 'OK');
    await web('LPUSH', 'wake', 'up');
    t.match((await listener).stdout, /up/, 'the open connection was not dropped');
  });

  await t.test('takes one more password, then only the one of the file', async (t) => {
    const admin = generated('REDIS_ADMIN_PASSWORD');
    const add = (who: Secret) =>
      stack.exec('redis', REDIS_CLI, {
        stdin: addPasswordInput(who, 'web', new Secret('next one')),
      });
    t.match((await add(admin)).stdout, ACCEPTED);
    t.notMatch((await add(new Secret('wrong'))).stdout, ACCEPTED);
    t.equal((await ask(stack, 'web', 'next one', 'GET', 'precious')).stdout.trim(), 'data');
    t.equal((await web('GET', 'precious')).stdout.trim(), 'data');
    const rotated = await stack.change(BODY, { [redisUserSecret('web')]: 'next one' });
    t.equal((await stack.provision(loadUsers(rotated))).code, 0);
    t.equal((await ask(stack, 'web', 'next one', 'GET', 'precious')).stdout.trim(), 'data');
    t.match((await web('GET', 'precious')).stderr, /WRONGPASS|NOAUTH/);
  });

  await t.test('says no to a wrong administrator, and shows no password', async (t) => {
    const wanted = loadUsers(stack.desired);
    const wrong = await stack.provision(wanted && { ...wanted, stdin: 'wrong\n' });
    t.not(wrong.code, 0);
    const log = await stack.logs('redis');
    for (const name of ['REDIS_ADMIN_PASSWORD', redisUserSecret('web')]) {
      t.notOk(log.includes(generated(name).reveal()));
    }
  });
});
