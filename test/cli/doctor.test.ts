import t from 'tap';
import type { Finding } from '../../installer/cli/doctor.ts';
import { commandTable } from '../../installer/cli/table.ts';
import { pathsUnder } from '../../installer/model/paths.ts';
import { runCommand } from '../support/cli.ts';
import { FakeEngine } from '../support/fake-engine.ts';
import { MemoryHost } from '../support/memory-host.ts';

const PATHS = pathsUnder();
const NOW = new Date('2026-11-21T12:00:00Z');

interface Machine {
  readonly compose?: string;
  readonly diskPercent?: number;
  readonly clockSeconds?: number;
  readonly secretMode?: number;
  /** What apt would upgrade. */
  readonly newer?: string;
  /** As `docker inspect` tells them, which ends with 1 when one of those asked for is gone. */
  readonly containers?: readonly object[];
  /** Texts by path. */
  readonly files?: Readonly<Record<string, string>>;
  /** As dpkg-query tells them. */
  readonly packages?: string;
  /** As `fail2ban-client status` tells them; without it there is no such program. */
  readonly jails?: string;
}

const container = (name: string, service: string, more: object = {}) => ({
  Name: `/${name}`,
  HostConfig: { PortBindings: null },
  Mounts: [],
  Config: { Labels: { 'com.docker.compose.service': service } },
  ...more,
});
const published = (port: string) => ({
  HostConfig: { PortBindings: { '80/tcp': [{ HostPort: port }] } },
});

async function doctor(machine: Machine, ...more: readonly string[]) {
  const {
    compose = '2.26.1-4',
    diskPercent = 40,
    clockSeconds = 0,
    secretMode = 0o600,
    newer = '',
  } = machine;
  const { containers = [container('a', 'nginx', published('80')), container('b', 'web')] } =
    machine;
  const host = new MemoryHost();
  host.files.makeDirectory(PATHS.secrets, { mode: 0o700, uid: 0, gid: 0 });
  const secret = { mode: secretMode, uid: 0, gid: 0 };
  host.files.write(`${PATHS.secrets}/KEY`, Buffer.from('x'), secret);
  host.on(['docker', 'compose', 'version'], () => ({ stdout: `${compose}\n` }));
  host.on(['apt-get', '--simulate', 'upgrade'], () => ({ stdout: newer }));
  host.on(['df'], () => ({ stdout: `Use% Avail\n ${diskPercent}% 9000000000\n` }));
  host.on(['date'], () => ({ stdout: `${NOW.getTime() / 1000 + clockSeconds}\n` }));
  for (const [path, text] of Object.entries(machine.files ?? {})) {
    host.files.write(path, Buffer.from(text), { mode: 0o644, uid: 0, gid: 0 });
  }
  const { packages = '', jails } = machine;
  host.on(['dpkg-query'], () => ({ exitCode: 1, stdout: packages }));
  if (jails !== undefined) {
    host.on(['fail2ban-client', 'status'], () => ({
      stdout: `Status\n\`- Jail list:\t${jails}\n`,
    }));
  }
  host.on(['docker', 'ps'], () => ({ stdout: 'a\nb\ngone\n' }));
  host.on(['docker', 'inspect'], () => ({ exitCode: 1, stdout: JSON.stringify(containers) }));
  const server = { host, engine: new FakeEngine() };
  return runCommand(['doctor', ...more], commandTable, { server, more: { now: () => NOW } });
}

async function finding(machine: Machine, check: string): Promise<Finding | undefined> {
  const { stdout } = await doctor(machine, '--json');
  const { findings } = JSON.parse(stdout) as { findings: Finding[] };
  return findings.find((one) => one.check === check);
}

t.test('what is as it should be is told in a line each', async (t) => {
  const { stdout } = await doctor({});
  t.match(stdout, /^✓ engine: Docker 26\.1\.5, 2 cores, 4\.0 GiB$/m);
  t.match(stdout, /^✓ compose: 2\.26\.1-4$/m);
  t.match(stdout, /^✓ disk: 40 % used, .* free under /m);
  t.match(stdout, /^✓ clock: 2026-11-21T12:00:00 UTC$/m);
  t.match(stdout, /^✓ secrets: 1 files, readable by root only$/m);
  t.match(
    stdout,
    /^✓ closed: of 3 containers only nginx publishes ports$/m,
    'also when one is gone',
  );
});

t.test('an upgrade of the engine is told, since nobody installs it by itself', async (t) => {
  const newer = [
    'Inst base-files [13.8] (13.8+deb13u1 Debian:13.1/stable [amd64])',
    'Inst docker.io [26.1.5+dfsg1-9] (26.1.5+dfsg1-9+deb13u1 Debian-Security:13/stable-security [amd64])',
    'Conf docker.io (26.1.5+dfsg1-9+deb13u1 Debian-Security:13/stable-security [amd64])',
  ].join('\n');
  const { stdout } = await doctor({ newer });
  t.match(
    stdout,
    /^! engine: docker\.io 26\.1\.5\+dfsg1-9 is installed, and Debian has 26\.1\.5\+dfsg1-9\+deb13u1$/m,
  );
  t.match(stdout, /apt-get install --only-upgrade docker\.io/);
  t.notMatch(stdout, /base-files/);
});

t.test('what is not is a problem with its remedy, and the exit code tells', async (t) => {
  t.match(await finding({ compose: '2.17.3' }, 'compose'), { result: 'problem', hint: /install/ });
  t.match(await finding({ diskPercent: 87 }, 'disk'), { result: 'warning' });
  t.match(await finding({ diskPercent: 93 }, 'disk'), {
    result: 'problem',
    hint: /docker system df/,
  });
  t.match(await finding({ clockSeconds: 90 }, 'clock'), { result: 'problem', text: /90 s away/ });
  t.match(await finding({ secretMode: 0o644 }, 'secrets'), {
    result: 'problem',
    text: `others may read ${PATHS.secrets}/KEY`,
    hint: /chmod 0600/,
  });
  const open = [container('db', 'postgres', published('5432'))];
  t.match(await finding({ containers: open }, 'closed'), { text: 'db publishes port 5432' });
  const socket = [container('x', 'web', { Mounts: [{ Source: '/var/run/docker.sock' }] })];
  t.match(await finding({ containers: socket }, 'closed'), { text: 'x holds the Docker socket' });
  t.equal((await doctor({ secretMode: 0o644 })).exitCode, 11);
});

t.test(
  'security fixes that do not install themselves are told, where the config asks for it',
  async (t) => {
    const SYSTEMD = { '/run/systemd/system/x': '' };
    const file = (value: number) => ({
      '/etc/apt/apt.conf.d/52holdfast-unattended': `APT::Periodic::Unattended-Upgrade "${value}";\n`,
    });
    const here = 'unattended-upgrades install ok installed\n';
    t.match(await finding({ files: { ...file(1), ...SYSTEMD } }, 'updates'), {
      result: 'problem',
      text: 'security fixes do not install themselves: unattended-upgrades is not installed',
      hint: /^sh \/opt\/holdfast\/current\/scripts\/unattended-upgrades\.sh /,
    });
    t.equal(
      await finding({ files: { ...file(1), ...SYSTEMD }, packages: here }, 'updates'),
      undefined,
    );
    t.match(await finding({ files: file(1), packages: here }, 'updates'), { text: /cron is not/ });
    t.equal(await finding({ files: file(0) }, 'updates'), undefined);
    t.equal(await finding({}, 'updates'), undefined);
  },
);

t.test('a jail that the config names and fail2ban does not have is told', async (t) => {
  const files = {
    '/etc/fail2ban/jail.d/holdfast.local':
      '[sshd]\nenabled = false\n\n[holdfast-http-auth]\nenabled = true\nbackend = auto\n',
  };
  const gone = {
    result: 'problem',
    text: 'fail2ban bans nobody for holdfast-http-auth',
    hint: /^sh \/opt\/holdfast\/current\/scripts\/fail2ban\.sh /,
  };
  t.match(await finding({ files }, 'bans'), gone);
  t.match(await finding({ files, jails: 'sshd' }, 'bans'), gone);
  t.equal(await finding({ files, jails: 'sshd, holdfast-http-auth' }, 'bans'), undefined);
  t.equal(await finding({ jails: '' }, 'bans'), undefined);
});
