/** Each Debian-built image keeps the interface of the official one. Real engine, real servers. */
import { randomBytes } from 'node:crypto';
import { chmodSync } from 'node:fs';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';
import t from 'tap';
import {
  docker,
  exec,
  KILLED_AFTER,
  logs,
  outcome,
  start,
  stop,
  until,
  volume,
} from './support/docker.ts';
import { imageConfig, platformImages } from './support/platform-images.ts';

// The images may have to be built first.
t.setTimeout(900_000);
const images = await platformImages(
  'postgres',
  'redis',
  'nginx',
  'node',
  'prometheus',
  'alertmanager',
  'node-exporter',
  'postgres-exporter',
  'redis-exporter',
  'nginx-exporter',
  'blackbox-exporter',
);
const image = (name: string): string => images[name] ?? t.bailout(`no image ${name}`) ?? '';

/** Nothing but what dropping root needs, and no place to write. */
const CLOSED = ['--read-only', '--cap-drop=ALL', '--security-opt=no-new-privileges'];
const DROPS_ROOT = [...CLOSED, '--cap-add=SETUID', '--cap-add=SETGID'];

const PG_SOCKET = '--tmpfs=/var/run/postgresql:mode=1777';
const DATA = '/var/lib/postgresql/data';

const ready = (id: string) =>
  until('postgres accepts connections', 60, async () => {
    const tcp = await exec(id, 'pg_isready', '-h', '127.0.0.1', '-U', 'app');
    return tcp.code === 0;
  });

const sql = async (id: string, text: string, ...options: string[]) => {
  const { code, stdout, stderr } = await exec(id, 'psql', '-XAtU', 'app', ...options, '-c', text);
  return code === 0 ? stdout.trim() : `error: ${stderr.trim()}`;
};

const owner = (id: string, pid = '1') => exec(id, 'stat', '-c', '%u:%g', `/proc/${pid}`);

t.test('every image says what it is', async (t) => {
  for (const [name, reference] of Object.entries(images)) {
    const { Labels } = await imageConfig(reference);
    t.equal(Labels['io.holdfast.component'], name);
    const tag = reference.slice(reference.indexOf(':') + 1);
    t.match(tag, new RegExp(`^${Labels['org.opencontainers.image.version']}-[0-9a-f]{12}$`));
  }
});

t.test(
  'postgres starts closed from secret files, runs the init directory, keeps its data',
  async (t) => {
    const password = randomBytes(12).toString('hex');
    const dir = t.testdir({
      password: `${password}\n`,
      init: {
        '1.sql': 'CREATE TABLE one (n int); INSERT INTO one VALUES (1);',
        '2.sql.gz': gzipSync('CREATE EXTENSION pg_stat_statements; CREATE EXTENSION amcheck;'),
        '3.sh': 'psql -U "$POSTGRES_USER" -d "$POSTGRES_DB" -c "CREATE TABLE three ()"\n',
        '4.sh': '#!/bin/sh\necho "work_mem = 7MB" >>"$PGDATA/postgresql.conf"\n',
      },
    });
    chmodSync(join(dir, 'password'), 0o600);
    chmodSync(join(dir, 'init/4.sh'), 0o755);
    const data = await volume(t);
    const options = [
      ...DROPS_ROOT,
      PG_SOCKET,
      `--volume=${data}:${DATA}`,
      `--volume=${join(dir, 'password')}:/run/secrets/password:ro`,
      `--volume=${join(dir, 'init')}:/docker-entrypoint-initdb.d:ro`,
      '--env=POSTGRES_PASSWORD_FILE=/run/secrets/password',
      '--env=POSTGRES_USER=app',
      '--env=POSTGRES_DB=shop',
      '--env=POSTGRES_INITDB_ARGS=--data-checksums',
      image('postgres'),
      'postgres',
      '-c',
      'shared_preload_libraries=pg_stat_statements',
    ];
    const id = await start(t, options);
    await ready(id);

    t.equal((await owner(id)).stdout.trim(), '999:999');
    t.equal((await exec(id, 'stat', '-c', '%u:%g %a', DATA)).stdout.trim(), '999:999 700');
    t.equal(await sql(id, 'SELECT n FROM one', '-d', 'shop'), '1');
    t.equal(await sql(id, 'SELECT count(*) FROM three', '-d', 'shop'), '0');
    t.equal(await sql(id, 'SHOW work_mem', '-d', 'shop'), '7MB');
    t.equal(await sql(id, 'SHOW data_checksums', '-d', 'shop'), 'on');
    t.equal(await sql(id, 'SHOW data_directory', '-d', 'shop'), DATA);
    t.equal(await sql(id, 'SELECT count(*) > 0 FROM pg_stat_statements', '-d', 'shop'), 't');
    t.equal(await sql(id, 'CREATE EXTENSION vector', '-d', 'shop'), 'CREATE EXTENSION');

    const address = await docker('inspect', '-f', '{{.NetworkSettings.IPAddress}}', id);
    const login = (word: string) =>
      sql(id, 'SELECT 1', '-d', `postgresql://app:${word}@${address}/shop`);
    t.equal(await login(password), '1');
    t.match(await login('wrong'), /password authentication failed/);
    const env = await outcome(['docker', 'exec', id, 'cat', '/proc/1/environ']);
    t.notMatch(env.stdout, password, 'the server does not carry the password around');
    t.notMatch(await logs(id), password);

    const end = await stop(id);
    t.equal(end.code, 0);
    t.ok(end.seconds < KILLED_AFTER, `stopped in ${end.seconds} s`);
    t.match(await logs(id), /database system is shut down/);

    await docker('start', id);
    await ready(id);
    t.equal(await sql(id, 'SELECT n FROM one', '-d', 'shop'), '1');

    await docker('rm', '-f', id);
    const next = await start(t, options);
    await ready(next);
    t.equal(await sql(next, 'SELECT n FROM one', '-d', 'shop'), '1');
  },
);

t.test('postgres killed at any moment of its first start ends up whole', async (t) => {
  const dir = t.testdir({
    'slow.sh': 'until [ -e /tmp/never ]; do read -rt 1 <> <(:) || :; done\n',
  });
  const data = await volume(t);
  const options = [
    `--volume=${data}:${DATA}`,
    '--env=POSTGRES_PASSWORD=secret',
    '--env=POSTGRES_USER=app',
    '--env=POSTGRES_DB=shop',
  ];
  const stuck = await start(t, [
    ...options,
    `--volume=${join(dir, 'slow.sh')}:/docker-entrypoint-initdb.d/slow.sh:ro`,
    image('postgres'),
  ]);
  await until('the init script runs', 60, async () => (await logs(stuck)).includes('slow.sh'));
  await docker('kill', stuck);

  for (let round = 0; round < 6; round++) {
    const id = await start(t, [...options, image('postgres')]);
    const marker = [/initialisation was cut short/, /Success|running bootstrap/, /syncing data/][
      round % 3
    ];
    // A cluster that the round before has finished shows none of the marks, and just starts.
    const isUp = /ready to accept connections/;
    await until('the first start got somewhere', 30, async () => {
      const said = await logs(id);
      return marker?.test(said) || isUp.test(said);
    });
    await docker('kill', id);
    if (/the new cluster is ready/.test(await logs(id))) break;
  }

  const id = await start(t, [...options, image('postgres')]);
  await ready(id);
  t.equal((await sql(id, 'SELECT count(*) FROM pg_class', '-d', 'shop').then(Number)) > 300, true);
  const hidden = await exec(id, 'ls', '-A', DATA);
  t.notMatch(hidden.stdout, /initialising/);
});

t.test('postgres touches no directory that is not its own', async (t) => {
  const data = await volume(t);
  const mount = `--volume=${data}:${DATA}`;
  await docker(
    'run',
    '--rm',
    mount,
    '--entrypoint=touch',
    image('postgres'),
    `${DATA}/family-photos`,
  );
  const run = [
    'docker',
    'run',
    '--rm',
    mount,
    '-e',
    'POSTGRES_PASSWORD=x',
    image('postgres'),
  ] as const;
  const { code, stderr } = await outcome(run);
  t.equal(code, 1);
  t.match(stderr, /is not empty \(family-photos\)/);
});

t.test('postgres without a password says which variable to set', async (t) => {
  const { code, stderr } = await outcome(['docker', 'run', '--rm', image('postgres')]);
  t.equal(code, 1);
  t.match(stderr, /set POSTGRES_PASSWORD_FILE/);
});

t.test('postgres runs as a given user, and from a directory that root made', async (t) => {
  const plain = ['--env=POSTGRES_PASSWORD=secret', '--env=POSTGRES_USER=app'];
  const data = await volume(t);
  const asUser = await start(t, [
    ...CLOSED,
    '--user=999:999',
    PG_SOCKET,
    `--volume=${data}:${DATA}`,
    ...plain,
    image('postgres'),
  ]);
  await ready(asUser);

  const made = await start(t, [
    ...DROPS_ROOT,
    '--cap-add=CHOWN',
    '--cap-add=DAC_OVERRIDE',
    PG_SOCKET,
    '--tmpfs=/bind:mode=755',
    '--env=PGDATA=/bind/data',
    ...plain,
    image('postgres'),
  ]);
  await ready(made);
  t.equal((await exec(made, 'stat', '-c', '%u %a', '/bind/data')).stdout.trim(), '999 700');
});

t.test('redis keeps its data, asks for its password, runs as 999', async (t) => {
  const data = await volume(t);
  const dir = t.testdir({ 'redis.conf': 'requirepass hush\nappendonly yes\ndir /data\n' });
  const options = [
    ...DROPS_ROOT,
    `--volume=${data}:/data`,
    `--volume=${join(dir, 'redis.conf')}:/etc/redis/redis.conf:ro`,
    image('redis'),
    'redis-server',
    '/etc/redis/redis.conf',
  ];
  const id = await start(t, options);
  const cli = async (on: string, ...words: string[]) =>
    (await exec(on, 'redis-cli', '--no-auth-warning', ...words)).stdout.trim();
  await until('redis answers', 20, async () => (await cli(id, '-a', 'hush', 'ping')) === 'PONG');
  t.match(await cli(id, 'ping'), /NOAUTH/);
  t.equal((await owner(id)).stdout.trim(), '999:999');
  t.equal(await cli(id, '-a', 'hush', 'set', 'key', 'kept'), 'OK');
  const end = await stop(id);
  t.equal(end.code, 0);
  t.ok(end.seconds < KILLED_AFTER, `stopped in ${end.seconds} s`);

  const next = await start(t, options);
  await until('redis answers', 20, async () => (await cli(next, '-a', 'hush', 'ping')) === 'PONG');
  t.equal(await cli(next, '-a', 'hush', 'get', 'key'), 'kept');

  const other = await start(t, [...CLOSED, '--user=999:999', '--tmpfs=/data', image('redis')]);
  await until('redis answers', 20, async () => (await cli(other, 'ping')) === 'PONG');
});

t.test('nginx serves, logs to the container, stops gracefully, loads its modules', async (t) => {
  const id = await start(t, [
    ...DROPS_ROOT,
    '--cap-add=CHOWN',
    '--cap-add=NET_BIND_SERVICE',
    '--tmpfs=/var/cache/nginx',
    '--tmpfs=/run',
    image('nginx'),
  ]);
  const health = () => exec(id, 'http-health', 'http://127.0.0.1:80/');
  await until('nginx answers', 20, async () => (await health()).code === 0);
  await until('its line', 20, async () => /"GET \/ HTTP\/1\.0" 200/.test(await logs(id)));
  const missing = await exec(id, 'http-health', 'http://127.0.0.1/nothing');
  t.equal(missing.code, 1);
  t.match(missing.stderr, /404/);
  t.equal((await imageConfig(image('nginx'))).StopSignal, 'SIGQUIT');
  t.notMatch(await logs(id), /unknown process/, 'a health check leaves nginx no stray child');
  const workers = await exec(id, 'bash', '-c', 'stat -c %u /proc/[0-9]* | sort -u');
  t.match(workers.stdout, /\b101\b/);
  const end = await stop(id);
  t.equal(end.code, 0);
  t.ok(end.seconds < KILLED_AFTER, `stopped in ${end.seconds} s`);

  const dir = t.testdir({
    'nginx.conf': `load_module modules/ndk_http_module.so;
load_module modules/ngx_http_lua_module.so;
load_module modules/ngx_http_brotli_filter_module.so;
load_module modules/ngx_http_brotli_static_module.so;
pid /tmp/nginx.pid;
events {}
http { brotli on; server { listen 8080; location / { content_by_lua_block { ngx.say('ok') } } } }`,
  });
  const asUser = await start(t, [
    ...CLOSED,
    '--user=101:101',
    '--tmpfs=/tmp',
    '--tmpfs=/var/cache/nginx:uid=101',
    `--volume=${join(dir, 'nginx.conf')}:/etc/nginx/nginx.conf:ro`,
    image('nginx'),
  ]);
  await until('nginx answers', 20, async () => {
    const { code } = await exec(asUser, 'http-health', 'http://127.0.0.1:8080/');
    return code === 0;
  });
});

t.test('prometheus writes to /prometheus as nobody, promtool is there', async (t) => {
  const data = await volume(t);
  const id = await start(t, [...CLOSED, `--volume=${data}:/prometheus`, image('prometheus')]);
  const health = () => exec(id, 'http-health', 'http://127.0.0.1:9090/-/ready');
  await until('prometheus is ready', 30, async () => (await health()).code === 0);
  t.equal((await owner(id)).stdout.trim(), '65534:65534');
  const rules = await exec(id, 'promtool', 'check', 'config', '/etc/prometheus/prometheus.yml');
  t.equal(rules.code, 0, rules.stderr);
  const end = await stop(id);
  t.equal(end.code, 0);
  t.ok(end.seconds < KILLED_AFTER, `stopped in ${end.seconds} s`);
});

const HTTP: readonly [name: string, port: number, path: string, ...args: string[]][] = [
  [
    'alertmanager',
    9093,
    '/-/ready',
    '--config.file=/etc/alertmanager/alertmanager.yml',
    '--storage.path=/alertmanager',
    '--cluster.listen-address=',
  ],
  ['node-exporter', 9100, '/metrics', '--no-collector.systemd'],
  ['postgres-exporter', 9187, '/metrics'],
  ['redis-exporter', 9121, '/metrics'],
  ['nginx-exporter', 9113, '/metrics', '--nginx.scrape-uri=http://127.0.0.1:1/stub_status'],
  ['blackbox-exporter', 9115, '/metrics'],
];
for (const [name, port, path, ...args] of HTTP) {
  t.test(
    `${name} answers on ${port} as nobody, with no capability and nothing to write`,
    async (t) => {
      const data = name === 'alertmanager' ? ['--tmpfs=/alertmanager:uid=65534'] : [];
      const id = await start(t, [
        ...CLOSED,
        ...data,
        '--env=DATA_SOURCE_NAME=postgresql://nobody@127.0.0.1:1/none?connect_timeout=1',
        image(name),
        ...args,
      ]);
      const health = () => exec(id, 'http-health', `http://127.0.0.1:${port}${path}`);
      await until(`${name} answers`, 20, async () => (await health()).code === 0);
      t.equal((await owner(id)).stdout.trim(), '65534:65534');
      const end = await stop(id);
      t.ok(end.seconds < KILLED_AFTER, `stopped in ${end.seconds} s`);
    },
  );
}

t.test('node runs a script by name or by command', async (t) => {
  const node = image('node');
  t.match(await docker('run', '--rm', ...CLOSED, '--user=1000:1000', node, '--version'), /^v20\./);
  const program = 'console.log(process.cwd(), require("os").userInfo().username)';
  t.equal(
    await docker('run', '--rm', ...CLOSED, '--user=node', node, 'node', '-e', program),
    '/app node',
  );
});

t.test('http-health gives up on a server that accepts and says nothing', async (t) => {
  const silent = 'require("net").createServer(() => {}).listen(8080)';
  const id = await start(t, [...CLOSED, image('node'), 'node', '-e', silent]);
  const first = await until('the port is open', 20, async () => {
    const answer = await exec(id, 'http-health', 'http://127.0.0.1:8080/', '1');
    return answer.stderr.includes('refused') ? undefined : answer;
  });
  t.equal(first.code, 124);
});
