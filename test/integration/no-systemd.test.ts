import t from 'tap';
import { QUIET_ZONE } from '../support/quiet-zone.ts';
import { until } from './support/docker.ts';
import { engineIsLost } from './support/engine-lost.ts';
import { startMachine } from './support/machine.ts';
import { nginxIsReplaced } from './support/nginx-replaced.ts';
import { bringIpv6 } from './support/outside.ts';
import { platformImages } from './support/platform-images.ts';
import { copyImages } from './support/releases.ts';

const CONFIG = `
version: 1
project: plain
timezone: ${QUIET_ZONE}
domain: localhost
contact: ops@example.com
tls: { issuer: selfsigned }
sites: { front: { artifact: ./site, hosts: [localhost] } }
monitoring: { prometheus: { enabled: false }, grafana: { enabled: false } }
updates: { os: { unattended: false }, rollback: { within: 1s } }
postgres: { version: "17", databases: [shop], owner: shop }
`;

/** Where init scripts start what runs, they keep engine and agent running as systemd would. On Debian 12; appliance.test.ts has Debian 13. */
t.test('a Debian server without systemd, and a config of the user', async (t) => {
  const machine = await startMachine(
    t,
    'bookworm',
    `holdfast-test-plain-${process.pid}`,
    'scripts',
  );
  const ok = async (...command: string[]) => {
    const { code, stdout, stderr } = await machine.exec(...command);
    if (code === 0) return stdout;
    throw new Error(`${command.join(' ')} exited ${code}\n${stdout.slice(-3000)}\n${stderr}`);
  };
  const front = async () => {
    const ca = ['--cacert', '/var/lib/holdfast/tls/private-ca/ca.crt'];
    const asked = ['curl', '--silent', '--noproxy', '*', ...ca, 'https://localhost/'];
    return (await machine.exec(...asked)).stdout;
  };
  const sql = (statement: string) =>
    ok(
      ...['docker', 'exec', '--user', 'postgres', 'plain-postgres-1'],
      ...['psql', '-XqAt', '-d', 'shop', '-c', statement],
    );
  const agentPid = async () =>
    JSON.parse(await ok('holdfast', 'agent', 'status', '--json')).pid as number;
  await machine.copyRepository('/root/holdfast');
  await ok('mkdir', '-p', '/root/mine/site');
  await ok('sh', '-c', 'echo "our front page" >/root/mine/site/index.html');
  await ok('sh', '-c', 'printf %s "$1" >/root/mine/config.yaml', 'sh', CONFIG);
  const install = (...options: string[]) =>
    ok('/root/holdfast/scripts/install.sh', '--config', '/root/mine/config.yaml', ...options);

  await bringIpv6(machine);

  await t.test('install.sh brings it up', async (t) => {
    t.not((await machine.exec('test', '-d', '/run/systemd/system')).code, 0, 'no systemd');
    t.match(await install('--no-apply'), /nothing is running yet/);
    // Built on a Debian 12 too, by the same scripts: images.test.ts. Where the mirror has newer packages by now, others are built here.
    const { nginx = '', postgres = '' } = await platformImages('nginx', 'postgres');
    await copyImages(machine, [nginx, postgres]);
    const said = await install();
    t.match(said, /All is well/);
    t.match(said, /restore test: .* came back in/);
    t.match(await front(), /our front page/);
    t.match(await ok('readlink', '/etc/holdfast/config.yaml'), '/root/mine/config.yaml');
    t.equal((await machine.exec('service', 'holdfast-agent', 'status')).code, 0);
  });

  await t.test('an agent that ends is started again', async (t) => {
    const before = await agentPid();
    await ok('kill', '-KILL', String(before));
    const after = await until('another agent answers', 60, async () => {
      const { code, stdout } = await machine.exec('holdfast', 'agent', 'status', '--json');
      const pid = code === 0 ? JSON.parse(stdout).pid : before;
      return pid === before ? false : String(pid);
    });
    t.match(after, /^[0-9]+$/);
  });

  await t.test('installing again upgrades in place and loses nothing', async (t) => {
    await sql("CREATE TABLE note (text text); INSERT INTO note VALUES ('kept')");
    const containers = await ok('docker', 'ps', '--quiet', '--no-trunc');
    t.match(await install(), /Nothing to do/);
    t.equal(await ok('docker', 'ps', '--quiet', '--no-trunc'), containers);
  });

  await t.test('nginx is replaced without a refused connection', (t) =>
    nginxIsReplaced(t, machine, { path: '/root/mine/config.yaml', text: CONFIG }),
  );

  await t.test('a power cut: engine, agent and stack come back by themselves', async (t) => {
    // Debian's script raises limits, as root in a container may not; it reads this file first.
    await ok('sh', '-c', 'echo "ulimit() { :; }" >>/etc/default/docker');
    await machine.powerCut();
    await until('the front door answers', 180, async () => (await front()).includes('our front'));
    await until('status is well', 180, async () => {
      return (await machine.exec('holdfast', 'status')).code === 0;
    });
    t.equal((await sql('SELECT text FROM note')).trim(), 'kept');
    // It came while a stand-in was answering.
    const config = ['--config', '/root/mine/config.yaml'];
    const said = await ok('holdfast', 'apply', '--yes', ...config);
    t.match(said, /stand-in/);
    // Nobody has given it its IPv6 back.
    t.match(said, /no IPv6/);
    t.equal(await ok('docker', 'ps', '-aq', '--filter', 'name=nginx-ipv6'), '');
    t.match(await ok('holdfast', 'apply', '--yes', ...config), /Nothing to do/);
    t.equal(await ok('docker', 'ps', '-aq', '--filter', 'name=stand-in'), '');
  });

  await t.test('the engine is lost in the middle of a deploy: one release serves', (t) =>
    engineIsLost(t, machine, '/root/mine/config.yaml'),
  );

  await t.test('--purge leaves nothing that starts at boot', async (t) => {
    await ok('holdfast', 'uninstall', '--purge', '--yes');
    const left = 'find /etc/init.d /etc/rc?.d /opt /var/lib /run /usr/local -name "*holdfast*"';
    t.equal((await ok('sh', '-c', left)).trim(), '');
    t.equal((await ok('docker', 'ps', '--all', '--quiet')).trim(), '');
  });
});
