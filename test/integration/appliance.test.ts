import { cp, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import t from 'tap';
import { PACKAGE_ROOT } from '../support/component-input.ts';
import { QUIET_ZONE } from '../support/quiet-zone.ts';
import { outcome, until } from './support/docker.ts';
import { startMachine } from './support/machine.ts';

const lastLine = (text: string): string => text.trim().split('\n').at(-1) ?? '';

/**
 * A newcomer on a bare Debian server: one command, then an edit, a backup, a loss, a restore, a power cut,
 * and leaving without a trace. Everything is real; nothing is shared with the machine outside.
 */
t.test('from a bare Debian 13 to a running platform and back', async (t) => {
  const machine = await startMachine(t, 'trixie');
  await machine.copyRepository('/root/holdfast');
  const ok = async (...command: string[]) => {
    const { code, stdout, stderr } = await machine.exec(...command);
    if (code !== 0)
      throw new Error(
        `${command.join(' ')} exited ${code}\n${stdout.slice(-4000)}\n${stderr.slice(-4000)}`,
      );
    return stdout;
  };
  const ids = async () =>
    (await ok('docker', 'ps', '--no-trunc', '--format', '{{.Names}} {{.ID}}'))
      .trim()
      .split('\n')
      .sort();
  const ca = '/var/lib/holdfast/tls/private-ca/ca.crt';
  const curl = (...args: string[]) =>
    ok('curl', '--silent', '--show-error', '--noproxy', '*', '--cacert', ca, ...args);

  await t.test('install.sh --dry-run changes nothing', async (t) => {
    const said = await ok('/root/holdfast/scripts/install.sh', '--dry-run');
    t.match(said, /would:[\s\S]*engine[\s\S]*holdfast apply --yes/);
    t.not((await machine.exec('test', '-e', '/opt/holdfast')).code, 0);
  });

  await t.test('a taken port is reported before anything is touched', async (t) => {
    await ok(
      'systemd-run',
      '--unit=squatter',
      'perl',
      '-MIO::Socket::INET',
      '-e',
      'my $socket = IO::Socket::INET->new(LocalPort => 443, Listen => 1) or die; sleep',
    );
    await until(
      'port 443 is taken',
      20,
      async () => (await machine.exec('/root/holdfast/scripts/install.sh', '--dry-run')).code === 4,
    );
    const { code, stderr } = await machine.exec('/root/holdfast/scripts/install.sh');
    t.equal(code, 4);
    t.match(stderr, /port 443 is taken by perl/);
    await ok('systemctl', 'stop', 'squatter');
  });

  const started = Date.now();
  await t.test('install.sh brings up the example', async (t) => {
    const said = await ok('/root/holdfast/scripts/install.sh');
    t.match(said, /All is well/);
    t.match(said, /holdfast plan/);
    t.match(said, /restore test: .* came back in/, 'the first backup was restored for a test');
    t.comment(
      `fresh machine to a healthy platform: ${Math.round((Date.now() - started) / 1000)} s`,
    );
    t.match(JSON.parse(await curl('https://localhost/health')), {
      status: 'ok',
      database: 'ok',
      redis: 'ok',
    });
    t.match(await ok('systemctl', 'is-active', 'holdfast-agent'), /^active/);
    const { stdout, stderr } = await machine.exec('unattended-upgrade', '--dry-run', '--debug');
    t.match(
      stdout + stderr,
      /Initial blacklist: .*\^docker\[\.\]io\$/,
      'security fixes come, but for the engine',
    );
  });

  await t.test('applying again does nothing', async (t) => {
    const before = await ids();
    t.match(await ok('holdfast', 'apply', '--yes'), /Nothing to do/);
    t.strictSame(await ids(), before);
    t.equal((await machine.exec('holdfast', 'plan')).code, 0);
  });

  await t.test('data goes in through the app; an edit touches only what it names', async (t) => {
    await curl(
      '--data',
      'a note worth keeping',
      '--header',
      'content-type: text/plain',
      'https://localhost/notes',
    );
    t.match(await curl('https://localhost/notes'), /a note worth keeping/);
    const before = await ids();
    // Every deploy below would watch its release for half a minute.
    const edit = `\ntimezone: ${QUIET_ZONE}\nhttp: { clientMaxBodySize: 33m }\nupdates: { rollback: { within: 2s } }\n`;
    await ok('sh', '-c', 'printf %s "$1" >>/etc/holdfast/config.yaml', 'sh', edit);
    t.equal((await machine.exec('holdfast', 'plan')).code, 10);
    await ok('holdfast', 'apply', '--yes');
    t.strictSame(await ids(), before, 'a setting of nginx is a reload');
  });

  await t.test('the same from another machine over SSH', async (t) => {
    const home = t.testdir({ config: {} });
    // The config and the sources of its service stand here only.
    const folder = join(home, 'config');
    await cp(join(PACKAGE_ROOT, 'examples'), `${folder}/examples`, { recursive: true });
    const text = await ok('cat', '/etc/holdfast/config.yaml');
    await writeFile(
      `${folder}/config.yaml`,
      text.replace('clientMaxBodySize: 33m', 'clientMaxBodySize: 34m'),
    );
    const holdfast = (...argv: string[]) =>
      outcome(
        [
          'env',
          `HOME=${home}`,
          `HOLDFAST_SSH_KEY=${machine.keyFile}`,
          process.execPath,
          join(PACKAGE_ROOT, 'installer/cli/main.ts'),
          ...argv,
          '--host',
          `root@${machine.address}`,
        ],
        600,
      );
    const containers = await ids();
    const planned = await holdfast('plan', '--config', `${folder}/config.yaml`);
    t.equal(planned.code, 10, planned.stderr);
    t.match(planned.stdout, /client_max_body_size/);
    const applied = await holdfast('apply', '--yes', '--config', `${folder}/config.yaml`);
    t.equal(applied.code, 0, applied.stderr);
    t.strictSame(await ids(), containers, 'a reload over SSH');
    t.match(
      await ok('cat', '/var/lib/holdfast/stack/nginx/nginx.conf'),
      /client_max_body_size "35651584"/,
    );
    // A replica may be slow to answer for a moment.
    await until('status is well', 60, async () => {
      const { code, stdout } = await holdfast('status');
      return code === 0 && stdout.includes('All is well');
    });

    await writeFile(`${folder}/examples/demo/src/written-here.txt`, 'a change of the app');
    const built = await holdfast('apply', '--yes', '--config', `${folder}/config.yaml`);
    t.equal(built.code, 0, built.stderr);
    const running = [
      'docker',
      'ps',
      '--quiet',
      '--filter',
      'label=io.holdfast.service=web',
    ] as const;
    const replicas = (await ok(...running)).trim().split('\n');
    const [serving = ''] = replicas;
    t.match(
      await ok('docker', 'exec', serving, 'cat', 'src/written-here.txt'),
      /a change of the app/,
      'what is built there are the sources from here',
    );
    const sent = await ok(
      'find',
      '/var/lib/holdfast/builds/web',
      '-mindepth',
      '1',
      '-maxdepth',
      '1',
    );
    t.equal(sent.trim().split('\n').length, 1, 'one context is kept, for the next to build upon');
    await ok('holdfast', 'update', '--yes', '--now');
    t.strictSame(
      (await ok(...running)).trim().split('\n'),
      replicas,
      'an update there goes by what was applied from here, and has nothing to do',
    );
    await ok('holdfast', 'rollback', 'web', '--yes');
    const [before = ''] = (await ok(...running)).trim().split('\n');
    t.not(
      (await machine.exec('docker', 'exec', before, 'test', '-e', 'src/written-here.txt')).code,
      0,
      'the release before',
    );
    await ok('holdfast', 'apply', '--yes');
  });

  await t.test('drift is shown and never overwritten silently', async (t) => {
    const file = '/var/lib/holdfast/stack/nginx/nginx.conf';
    await ok('sh', '-c', `echo "# edited at night" >> ${file}`);
    const { code, stderr } = await machine.exec('holdfast', 'apply', '--yes');
    t.equal(code, 15);
    t.match(stderr, /nginx\.conf was changed by someone else/);
    t.match(await ok('tail', '-n', '1', file), /edited at night/);
    await ok('holdfast', 'apply', '--yes', '--adopt');
    t.notMatch(await ok('cat', file), /edited at night/);
  });

  await t.test(
    'a backup is made, read back, restored for a test; lost data comes back',
    async (t) => {
      await ok('holdfast', 'backup', 'run');
      const list = JSON.parse(await ok('holdfast', 'backup', 'list', '--json'));
      t.ok(list.backups.length >= 1);
      await ok('holdfast', 'backup', 'restore-test');
      const database = (
        await ok(
          'docker',
          'exec',
          '--user',
          'postgres',
          'demo-postgres-1',
          'psql',
          '-XAt',
          '-c',
          "SELECT datname FROM pg_database WHERE datname IN ('web', 'demo')",
        )
      ).trim();
      await ok(
        'docker',
        'exec',
        '--user',
        'postgres',
        'demo-postgres-1',
        'psql',
        '-X',
        '-d',
        database,
        '-c',
        'DELETE FROM note',
      );
      t.notMatch(await curl('https://localhost/notes'), /worth keeping/);
      await ok('holdfast', 'restore', '--yes');
      await until('the note is back', 60, async () =>
        (await curl('https://localhost/notes')).includes('a note worth keeping'),
      );
      // The replicas were stopped for the swap.
      const status = await until('status is well', 60, async () => {
        const { code, stdout } = await machine.exec('holdfast', 'status', '--json');
        return code === 0 ? JSON.parse(stdout) : undefined;
      });
      t.strictSame(status.problems, []);
      t.ok(status.restoreTest.seconds > 0, 'the restore time is measured');
      t.ok(
        status.backups.every(
          (job: { lastVerifiedAt?: string }) => job.lastVerifiedAt !== undefined,
        ),
        'every job is verified',
      );
    },
  );

  await t.test(
    'the agent is killed in mid-backup: it tries again by itself, and clears up',
    async (t) => {
      const sql = (query: string) =>
        ok(
          ...['docker', 'exec', '--user', 'postgres', 'demo-postgres-1'],
          ...['psql', '-XAt', '-d', 'web', '-c', query],
        );
      const waiting = (what: string) =>
        sql(`SELECT count(*) FROM pg_stat_activity WHERE ${what} AND pid <> pg_backend_pid()`);
      const backups = async () =>
        JSON.parse(await ok('holdfast', 'backup', 'list', '--json')).backups;
      const before = (await backups()).length;
      // Whoever dumps has to wait for this one.
      await ok(
        ...['docker', 'exec', '--detach', '--user', 'postgres', 'demo-postgres-1'],
        ...['psql', '-X', '-d', 'web', '-c', 'BEGIN; LOCK TABLE note; SELECT pg_sleep(600)'],
      );
      await until(
        'the table is locked',
        30,
        async () => (await waiting("wait_event = 'PgSleep'")).trim() === '1',
      );
      await ok('holdfast', 'agent', 'trigger', 'backup-daily');
      await until(
        'the dump waits',
        60,
        async () => (await waiting("wait_event_type = 'Lock'")).trim() !== '0',
      );
      await ok('systemctl', 'kill', '--signal=KILL', 'holdfast-agent');
      await sql(
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE wait_event = 'PgSleep'",
      );
      const runs = await until('the agent is back and has tried again', 120, async () => {
        const { code, stdout } = await machine.exec('holdfast', 'agent', 'status', '--json');
        const { history } = code === 0 ? JSON.parse(stdout) : { history: [] };
        const ended = history
          .filter(({ job }: { job: string }) => job === 'backup-daily')
          .slice(-2);
        return ended.at(-1)?.reason === 'retry' && ended;
      });
      t.match(runs, [
        { result: 'lost', reason: 'by hand' },
        { result: 'done', reason: 'retry' },
      ]);
      t.equal((await backups()).length, before + 1, 'half a backup is none');
      const partial = await ok('find', '/var/lib/holdfast/backups', '-name', '*.partial-*');
      t.equal(partial, '', 'nothing is left of the killed one');
      t.match(await ok('systemctl', 'is-active', 'holdfast-agent'), /^active/);
    },
  );

  await t.test('a service goes, its data stays until it is asked for', async (t) => {
    const config = '/etc/holdfast/config.yaml';
    const scratch =
      '  scratch: { build: { context: examples/demo }, command: [sh, -c, "trap : TERM; sleep infinity & wait"], volumes: [{ name: papers, mount: /papers }] }';
    await ok('sed', '--in-place', `/^services:/a\\${scratch}`, config);
    await ok('holdfast', 'apply', '--yes');
    const asked = await machine.exec(
      'holdfast',
      'exec',
      'scratch',
      '--',
      'sh',
      '-c',
      'id -u; exit 7',
    );
    t.equal(asked.code, 7, 'the exit code of the command');
    t.match(asked.stdout, /^\d+\n$/);
    t.equal((await machine.exec('sh', '-c', 'echo "SELECT 1/0" | holdfast psql web')).code, 0);
    t.match(await ok('sh', '-c', 'echo "SELECT 6 * 7" | holdfast psql web'), /42/);

    const volumes = async () => await ok('docker', 'volume', 'ls', '--quiet');
    t.match(await ok('holdfast', 'volumes', 'prune', '--yes'), /No volume was removed/);
    await ok('sed', '--in-place', '/^  scratch:/d', config);
    await ok('holdfast', 'apply', '--yes');
    t.match(await ok('holdfast', 'volumes', 'list'), /demo_papers +unused/);
    const refused = await machine.exec('holdfast', 'volumes', 'prune');
    t.equal(refused.code, 5, 'nobody is there to say yes');
    t.match(await volumes(), 'demo_papers');
    t.equal(
      await ok('holdfast', 'volumes', 'prune', '--yes').then(lastLine),
      'Removed demo_papers.',
    );
    t.notMatch(await volumes(), 'demo_papers');
    t.match(await volumes(), 'demo_postgres', 'what is used stays');
  });

  await t.test('the agent takes newer images; what nothing needs any more goes', async (t) => {
    const always = 'images: { policy: auto }, window: { from: "00:00", to: "23:59", every: daily }';
    await ok('sed', '-i', `s/^updates: { /&${always}, /`, '/etc/holdfast/config.yaml');
    await ok('holdfast', 'apply', '--yes');
    const current = async () =>
      (await ok('docker', 'inspect', '--format', '{{.Config.Image}}', 'demo-redis-1')).trim();
    const old = await current();
    // A newer package is nothing that a test can order: another recipe leads to another image as well.
    const recipe = '/opt/holdfast/current/images/rootfs/redis/usr/local/bin/docker-entrypoint.sh';
    await ok('sh', '-c', 'echo "# newer" >>"$1"', 'sh', recipe);
    await ok('holdfast', 'agent', 'trigger', 'update');
    const run = await until('the update has ended', 300, async () => {
      const { history } = JSON.parse(await ok('holdfast', 'agent', 'status', '--json'));
      return history.find(({ job }: { job: string }) => job === 'update');
    });
    t.match(run, { result: 'done', reason: 'by hand' }, run.tail);
    t.not(await current(), old);
    const isPresent = async () =>
      (await machine.exec('docker', 'image', 'inspect', old)).code === 0;
    t.ok(await isPresent(), 'the one before stays for the way back');
    await ok('sed', '-i', 's/"23:59"/"23:58"/', '/etc/holdfast/config.yaml');
    await ok('holdfast', 'apply', '--yes');
    t.notOk(await isPresent(), 'until the change after that');
    await until(
      'status is well',
      60,
      async () => (await machine.exec('holdfast', 'status')).code === 0,
    );
  });

  await t.test('from outside only 22, 80 and 443 answer', async (t) => {
    const ports = [
      22, 80, 443, 2375, 3000, 3001, 5432, 6379, 8080, 8081, 8443, 9090, 9100, 9113, 9121, 9187,
    ];
    const connect = 'exec 3<>"/dev/tcp/$1/$2"';
    const answers = await Promise.all(
      ports.map(async (port) => {
        const argv = ['bash', '-c', connect, 'bash', machine.address, String(port)] as const;
        return (await outcome([...argv], 10)).code === 0;
      }),
    );
    const open = ports.filter((_, index) => answers[index]);
    t.strictSame(open, [22, 80, 443]);
  });

  await t.test(
    'what another container publishes stays closed, also after the engine',
    async (t) => {
      const image = (
        await ok('docker', 'inspect', '--format', '{{.Config.Image}}', 'demo-nginx-1')
      ).trim();
      await ok(
        ...['docker', 'run', '--detach', '--restart=always', '--name=foreign'],
        ...['--publish=9999:80', image],
      );
      const answers = async (port: number) => {
        const command = 'exec 3<>"/dev/tcp/$1/$2"';
        const argv = ['bash', '-c', command, 'bash', machine.address, String(port)] as const;
        return (await outcome([...argv], 5)).code === 0;
      };
      const listensInside = () =>
        machine
          .exec('bash', '-c', 'exec 3<>/dev/tcp/127.0.0.1/9999')
          .then(({ code }) => code === 0);
      await until('the port answers on the machine itself', 30, listensInside);
      t.notOk(await answers(9999));
      await ok('systemctl', 'restart', 'docker');
      await until('the port answers again', 60, listensInside);
      await until('the front door answers again', 60, () => answers(443));
      t.notOk(await answers(9999));
      await ok('docker', 'rm', '--force', 'foreign');
    },
  );

  await t.test('secrets are readable by root only and stand nowhere else', async (t) => {
    const open = await ok(
      'find',
      '/var/lib/holdfast/secrets',
      '(',
      '-perm',
      '/077',
      '-o',
      '!',
      '-uid',
      '0',
      ')',
    );
    t.equal(open.trim(), '');
    const leaks = await ok(
      'sh',
      '-c',
      [
        'for file in /var/lib/holdfast/secrets/*; do',
        '  grep -rlF -f "$file" /var/lib/holdfast/stack /var/lib/holdfast/audit.log /var/lib/holdfast/lock.json /var/lib/holdfast/manifest.json /var/log 2>/dev/null | grep -v -e compose.secrets.yaml',
        'done; true',
      ].join('\n'),
    );
    t.equal(leaks.trim(), '', 'no secret in a rendered file, log or audit line');
    t.equal(
      (await ok('stat', '-c', '%a', '/var/lib/holdfast/stack/compose.secrets.yaml')).trim(),
      '600',
    );
  });

  await t.test('a power cut: everything comes back by itself', async (t) => {
    await machine.powerCut();
    await until('the front door answers', 120, async () => {
      const { code, stdout } = await machine.exec(
        'curl',
        '--silent',
        '--noproxy',
        '*',
        '--cacert',
        ca,
        'https://localhost/health',
      );
      return code === 0 && stdout.includes('"status":"ok"');
    });
    t.match(await curl('https://localhost/notes'), /a note worth keeping/);
    await until(
      'status is well',
      120,
      async () => (await machine.exec('holdfast', 'status')).code === 0,
    );
    t.match(await ok('holdfast', 'apply', '--yes'), /Nothing to do/);
  });

  await t.test('uninstall keeps data; --purge leaves nothing of ours', async (t) => {
    await ok('holdfast', 'uninstall', '--yes');
    t.equal((await ok('docker', 'ps', '--all', '--quiet')).trim(), '');
    t.match(await ok('docker', 'volume', 'ls', '--quiet'), /postgres-data/);
    await ok('holdfast', 'apply', '--yes');
    t.match(
      await curl('https://localhost/notes'),
      /a note worth keeping/,
      'applying again finds its data',
    );
    await ok('holdfast', 'uninstall', '--yes');
    t.match(await ok('holdfast', 'volumes', 'list'), /postgres-data/, 'what is kept can be listed');
    await ok('holdfast', 'uninstall', '--purge', '--yes');
    t.equal((await ok('docker', 'ps', '--all', '--quiet')).trim(), '');
    t.equal((await ok('docker', 'volume', 'ls', '--quiet')).trim(), '');
    const left = await ok(
      'sh',
      '-c',
      'ls -d /opt/holdfast /etc/holdfast/config.yaml /var/lib/holdfast /usr/local/bin/holdfast /etc/systemd/system/*holdfast* /run/holdfast 2>/dev/null; true',
    );
    t.equal(left.trim(), '');
    t.equal(
      (
        await ok('docker', 'network', 'ls', '--quiet', '--filter', 'label=io.holdfast.project')
      ).trim(),
      '',
    );
  });
});
