import { readFileSync, writeFileSync } from 'node:fs';
import { cp } from 'node:fs/promises';
import { request as plainRequest } from 'node:http';
import { join } from 'node:path';
import t from 'tap';
import { WebSocket } from 'ws';
import { hasIpv6 } from '../../installer/apply/network-facts.ts';
import { LocalHost } from '../../installer/host/local.ts';
import { Appliance } from '../support/appliance.ts';
import { PACKAGE_ROOT } from '../support/component-input.ts';
import { QUIET_ZONE } from '../support/quiet-zone.ts';
import { docker, outcome, until } from './support/docker.ts';

const ORIGIN = 'https://attendee.example.com';
const SECRETS: Readonly<Record<string, string>> = {
  JWT_SECRET: 'jwt-1c8a4f6a9d',
  JWT_REFRESH_SECRET: 'refresh-77ab12cd',
  R2_ACCOUNT_ID: 'account0123456789',
  R2_ACCESS_KEY: 'app-access-key',
  R2_SECRET_KEY: 'app-secret-key-5512',
  R2_BACKUP_ACCESS_KEY_ID: 'backup-access-key',
  R2_BACKUP_SECRET_ACCESS_KEY: 'backup-secret-key-9981',
  S3_COLD_ACCESS_KEY_ID: 'cold-access-key',
  S3_COLD_SECRET_ACCESS_KEY: 'cold-secret-key-4410',
  SMTP_PASSWORD: 'mail-5f2e"$x',
  SENTRY_DSN: 'https://public@sentry.invalid/1',
  UPTIMEROBOT_HEARTBEAT_URL: 'https://heartbeat.invalid/abc',
};

async function containers(): Promise<Map<string, string>> {
  const listed = await docker(
    'ps',
    '--filter',
    'label=io.holdfast.project=attendee-ems',
    '--no-trunc',
    '--format',
    '{{.Names}} {{.ID}}',
  );
  return new Map(listed.split('\n').map((line) => line.split(' ') as [string, string]));
}

t.test('the config of Attendee EMS on the real engine', async (t) => {
  const folder = t.testdir({});
  await cp(join(PACKAGE_ROOT, 'examples/attendee'), folder, { recursive: true });
  const config = join(folder, 'config.yaml');
  const written = readFileSync(config, 'utf8');
  writeFileSync(config, written.replace(/^project: .*$/m, `$&\ntimezone: ${QUIET_ZONE}`));
  const appliance = await Appliance.create(config);
  t.teardown(() => appliance.remove());
  const apply = (...more: string[]) => appliance.run(['apply', '--config', config, ...more]);

  await t.test(
    'secrets that are missing are listed at once, with the command for each',
    async (t) => {
      const { exitCode, stderr } = await apply('--yes');
      t.equal(exitCode, 3);
      for (const name of ['JWT_SECRET', 'SMTP_PASSWORD', 'R2_BACKUP_ACCESS_KEY_ID']) {
        t.match(stderr, new RegExp(`holdfast secrets set ${name}\\b`));
      }
      for (const [name, value] of Object.entries(SECRETS)) {
        t.match(
          await appliance.run(['secrets', 'set', name, '--config', config], value),
          { exitCode: 0 },
          name,
        );
      }
    },
  );

  await t.test('without a terminal and without --yes it refuses and changes nothing', async (t) => {
    const { exitCode, stderr } = await apply();
    t.equal(exitCode, 5);
    t.match(stderr, /holdfast apply --yes/);
    const listed = await docker(
      'ps',
      '--all',
      '--filter',
      'label=io.holdfast.project=attendee-ems',
      '--format',
      '{{.Names}}',
    );
    t.equal(listed, '');
  });

  const first = await apply('--yes');
  t.equal(first.exitCode, 0, first.stderr.slice(-3000));

  await t.test(
    'no secret stands in what was printed, in a plan or in a container’s command line',
    async (t) => {
      const again = await appliance.run(['plan', '--config', config, '--json']);
      const inspected = await docker(
        'inspect',
        '--format',
        '{{json .Config.Cmd}}{{json .Config.Entrypoint}}{{json .Config.Labels}}',
        ...(await containers()).values(),
      );
      for (const [name, value] of Object.entries(SECRETS)) {
        for (const text of [first.stdout, first.stderr, again.stdout, inspected]) {
          t.notOk(text.includes(value), name);
        }
      }
    },
  );

  await t.test('the API answers on its routes, and what it was told arrived', async (t) => {
    t.match(await appliance.ask(`${ORIGIN}/api/health`), { status: 200, body: '{"status":"ok"}' });
    t.match(await appliance.ask(`${ORIGIN}/api/health/db`), {
      status: 200,
      body: '{"database":"ok"}',
    });
    const echo = JSON.parse(
      (await appliance.ask(`${ORIGIN}/api/echo?x=1`, { headers: { 'x-forwarded-for': '6.6.6.6' } }))
        .body,
    );
    t.equal(echo.url, '/api/echo?x=1', 'the path is kept');
    t.match(echo.environment, { NODE_ENV: 'production', SMTP_FROM_NAME: 'Attendee EMS' });
    t.equal(echo.headers['x-forwarded-proto'], 'https');
    t.notMatch(echo.headers['x-forwarded-for'], /6\.6\.6\.6/, 'a forged address is dropped');
    t.equal(echo.headers.connection === 'upgrade', false, 'no upgrade on an ordinary request');
    t.match(await appliance.ask(`${ORIGIN}/metrics`), { status: 404 });
    const replicas = new Set<string>();
    for (let index = 0; index < 40 && replicas.size < 2; index += 1) {
      replicas.add(JSON.parse((await appliance.ask(`${ORIGIN}/api/echo`)).body).replica);
    }
    t.equal(replicas.size, 2, 'both replicas answer');
  });

  await t.test('over IPv6 a client is seen as who it is, where the machine has IPv6', async (t) => {
    const { stdout } = await appliance.run(['plan', '--config', config]);
    const isThere = await hasIpv6(new LocalHost());
    t.equal((await containers()).has('attendee-ems-nginx-ipv6-1'), isThere);
    t.equal(/no IPv6/.test(stdout), !isThere, 'the plan says so');
    if (!isThere) return;
    const headers = { 'x-forwarded-for': '6.6.6.6' };
    const { body } = await appliance.ask(`${ORIGIN}/api/echo`, { headers, address: '::1' });
    t.equal(JSON.parse(body).headers['x-forwarded-for'], '::1');
  });

  await t.test('headers, also on errors; HTTP goes to HTTPS', async (t) => {
    for (const path of ['/api/health', '/api/nothing', '/nothing']) {
      const { headers } = await appliance.ask(`${ORIGIN}${path}`);
      t.equal(headers['x-content-type-options'], 'nosniff', path);
      t.equal(headers['x-frame-options'], 'SAMEORIGIN', path);
      t.equal(headers['strict-transport-security'], 'max-age=31536000; includeSubDomains', path);
    }
    const redirect = await new Promise<{ status: number; location: string }>((resolve, reject) => {
      plainRequest(
        {
          host: '127.0.0.1',
          port: 80,
          path: '/api/health?a=b',
          headers: { host: 'attendee.example.com' },
          agent: false,
        },
        (response) => {
          response.resume();
          resolve({ status: response.statusCode ?? 0, location: response.headers.location ?? '' });
        },
      )
        .once('error', reject)
        .end();
    });
    t.strictSame(redirect, { status: 301, location: `${ORIGIN}/api/health?a=b` });
    const { code } = await outcome([
      'curl',
      '--silent',
      '--noproxy',
      '*',
      '-H',
      'Host: other.example.com',
      'http://127.0.0.1/',
    ]);
    t.equal(code, 52, 'an unknown host gets no answer');
  });

  await t.test('the front end: pages, deep links, assets, and what is missing', async (t) => {
    const page = await appliance.ask(`${ORIGIN}/`);
    t.match(page, { status: 200, headers: { 'cache-control': 'no-cache' } });
    const script = /src="(\/assets\/index-[\w-]{8}\.js)"/.exec(page.body)?.[1] ?? 'no script';
    t.match(await appliance.ask(`${ORIGIN}/events/7?tab=people`), { status: 200, body: page.body });
    const asset = await appliance.ask(`${ORIGIN}${script}`, {
      headers: { 'accept-encoding': 'br' },
    });
    t.match(asset.headers, { 'cache-control': 'public, max-age=31536000, immutable' });
    t.match(
      (await appliance.ask(`${ORIGIN}${script}`)).body,
      '"VITE_API_URL":"https://attendee.example.com/api"',
      'built with its variables',
    );
    t.match(await appliance.ask(`${ORIGIN}/favicon.svg`), {
      status: 200,
      headers: { 'cache-control': 'public, max-age=3600' },
    });
    for (const path of [
      '/assets/index-gone1234.js',
      '/robots.txt',
      '/.env',
      '/downloads/none.zip',
    ]) {
      const missing = await appliance.ask(`${ORIGIN}${path}`);
      t.match(missing, { status: 404, headers: { 'x-content-type-options': 'nosniff' } }, path);
      t.notMatch(missing.body, 'Attendee EMS', `${path} is not the first page`);
    }
    t.match(await appliance.ask('https://www.attendee.example.com/events/7?a=b'), {
      status: 301,
      headers: { location: `${ORIGIN}/events/7?a=b` },
    });
  });

  await t.test('downloads come from their volume', async (t) => {
    const mounts = JSON.parse(
      await docker('inspect', '--format', '{{json .Mounts}}', 'attendee-ems-nginx-1'),
    ) as { Name?: string; Source: string; RW: boolean }[];
    const volume = mounts.find(({ Name }) => Name === 'attendee-ems_downloads');
    t.equal(volume?.RW, false, 'nginx only reads it');
    writeFileSync(join(volume?.Source ?? '', 'badge.pdf'), '%PDF badge');
    t.match(await appliance.ask(`${ORIGIN}/downloads/badge.pdf`), {
      status: 200,
      body: '%PDF badge',
      headers: { 'cache-control': 'public, max-age=604800', 'x-frame-options': 'SAMEORIGIN' },
    });
    const settings = readFileSync(join(appliance.paths.stack, 'agent/backup.json'), 'utf8');
    t.match(settings, /"attendee-ems_downloads"/, 'and it is backed up');
  });

  await t.test('a new build of the front end is switched to; nothing else moves', async (t) => {
    const before = await containers();
    const source = join(folder, 'attendee-ems-front/index.html');
    writeFileSync(source, readFileSync(source, 'utf8').replace('Home', 'Start'));
    const planned = await appliance.run(['plan', '--config', config]);
    t.match(planned, { exitCode: 10, stdout: /site frontend: release \w{16} \(built from/ });
    const applied = await apply('--yes');
    t.equal(applied.exitCode, 0, applied.stderr.slice(-2000));
    t.match((await appliance.ask(`${ORIGIN}/`)).body, '>Start<');
    t.strictSame(await containers(), before);
    t.match(await apply('--yes'), { stdout: /Nothing to do/ });
  });

  await t.test('an upload of 10 MiB passes, one byte more does not', async (t) => {
    const limit = 10 * 1024 ** 2;
    const upload = (bytes: number) =>
      appliance.ask(`${ORIGIN}/api/upload`, { method: 'POST', body: Buffer.alloc(bytes, 1) });
    t.match(JSON.parse((await upload(limit)).body), { bytes: limit });
    t.equal((await upload(limit + 1)).status, 413);
  });

  await t.test('a WebSocket passes through', async (t) => {
    const socket = new WebSocket('wss://attendee.example.com/socket.io/', {
      ca: readFileSync(join(appliance.paths.tls, 'private-ca/ca.crt')),
      lookup: (
        _name: string,
        options: { all?: boolean },
        done: (error: null, address: unknown, family?: number) => void,
      ) =>
        options.all === true
          ? done(null, [{ address: '127.0.0.1', family: 4 }])
          : done(null, '127.0.0.1', 4),
    } as ConstructorParameters<typeof WebSocket>[2]);
    const reply = await new Promise<string>((resolve, reject) => {
      socket.once('open', () => socket.send('ping across the edge'));
      socket.once('message', (data) => resolve(String(data)));
      socket.once('error', reject);
    });
    socket.close();
    t.equal(reply, 'ping across the edge');
  });

  await t.test('only nginx publishes ports; limits, users and hardening hold', async (t) => {
    const inspected = JSON.parse(await docker('inspect', ...(await containers()).values())) as {
      Name: string;
      HostConfig: {
        PortBindings: Record<string, { HostPort: string }[]> | null;
        Memory: number;
        PidsLimit: number;
        CapDrop: string[];
        SecurityOpt: string[];
        Binds: string[] | null;
        RestartPolicy: { Name: string };
        LogConfig: { Config: Record<string, string> };
      };
      Mounts: { Source: string }[];
    }[];
    for (const { Name, HostConfig, Mounts } of inspected) {
      const published = Object.values(HostConfig.PortBindings ?? {})
        .flat()
        .map(({ HostPort }) => HostPort)
        .sort();
      t.strictSame(published, Name.includes('-nginx-1') ? ['443', '80'] : [], `${Name} publishes`);
      t.ok(HostConfig.Memory > 0, `${Name} has a memory limit`);
      t.ok(HostConfig.PidsLimit > 0, `${Name} has a process limit`);
      t.strictSame(HostConfig.CapDrop, ['ALL'], Name);
      t.match(HostConfig.SecurityOpt, ['no-new-privileges:true'], Name);
      t.equal(HostConfig.RestartPolicy.Name, 'unless-stopped', Name);
      t.equal(HostConfig.LogConfig.Config['max-size'], '10m', Name);
      t.notOk(
        Mounts.some(({ Source }) => Source.endsWith('docker.sock')),
        `${Name} has no engine socket`,
      );
    }
    t.equal(
      inspected.find(({ Name }) => Name.includes('-backend_a-1'))?.HostConfig.Memory,
      1024 ** 3,
    );
  });

  await t.test('the database role is not superuser and the seed ran once', async (t) => {
    const sql = async (query: string) =>
      (
        await docker(
          'exec',
          '--user',
          'postgres',
          'attendee-ems-postgres-1',
          'psql',
          '-XAt',
          '-d',
          'attendee_ems',
          '-c',
          query,
        )
      ).trim();
    t.equal(
      await sql(
        "SELECT rolsuper OR rolcreaterole OR rolcreatedb FROM pg_roles WHERE rolname = 'attendee'",
      ),
      'f',
    );
    t.equal(await sql('SELECT name FROM attendee'), 'Ada Lovelace');
    t.equal(await sql('SHOW data_checksums'), 'on');
  });

  await t.test('a replica that takes more than 1 GiB is ended, and comes back', async (t) => {
    await outcome([
      'curl',
      '--silent',
      '--noproxy',
      '*',
      '--max-time',
      '300',
      '-X',
      'POST',
      '--cacert',
      join(appliance.paths.tls, 'private-ca/ca.crt'),
      '--connect-to',
      'attendee.example.com:443:127.0.0.1:443',
      `${ORIGIN}/api/hold-memory`,
    ]);
    const replicas = ['attendee-ems-backend_a-1', 'attendee-ems-backend_a-2'];
    const restarts = async () => {
      const counts = await docker('inspect', '--format', '{{.RestartCount}}', ...replicas);
      return counts
        .split('\n')
        .map(Number)
        .reduce((sum, count) => sum + count);
    };
    // The engine waits a moment before it starts it again.
    await until('one is started again', 60, async () => (await restarts()) > 0);
    const answered = new Set<string>();
    await until('both answer', 60, async () => {
      const { status, body } = await appliance.ask(`${ORIGIN}/api/echo`);
      if (status === 200) answered.add(JSON.parse(body).replica);
      return answered.size === 2;
    });
    t.equal(await restarts(), 1, 'one replica was ended by its limit');
    t.match(await appliance.ask(`${ORIGIN}/api/health`), { status: 200 });
  });

  await t.test('applying again changes nothing and restarts nothing', async (t) => {
    const before = await containers();
    const again = await apply('--yes');
    t.match(again, { exitCode: 0, stdout: /Nothing to do/ }, again.stdout.slice(-2000));
    t.strictSame(await containers(), before);
  });

  await t.test('an edit touches only what it names', async (t) => {
    const before = await containers();
    const text = readFileSync(config, 'utf8');
    writeFileSync(config, text.replace('clientMaxBodySize: 10m', 'clientMaxBodySize: 12m'));
    const reloaded = await apply('--yes');
    t.equal(reloaded.exitCode, 0, reloaded.stderr.slice(-2000));
    t.strictSame(
      await containers(),
      before,
      'a limit of nginx is a reload: every container keeps its id',
    );
    const upload = await appliance.ask(`${ORIGIN}/api/upload`, {
      method: 'POST',
      body: Buffer.alloc(11 * 1024 ** 2),
    });
    t.equal(upload.status, 200, 'and the new limit holds');
    writeFileSync(config, text.replace('LOG_LEVEL: info', 'LOG_LEVEL: debug'));
    const edited = await apply('--yes');
    t.equal(edited.exitCode, 0, edited.stderr.slice(-2000));
    const after = await containers();
    const changed = [...after]
      .filter(([name, id]) => before.get(name) !== id)
      .map(([name]) => name);
    t.strictSame(changed.sort(), ['attendee-ems-backend_b-1', 'attendee-ems-backend_b-2']);
  });
});
