import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import t from 'tap';
import { REMOVE_STAND_IN_TABLES } from '../../installer/model/stand-in.ts';
import { standInRules } from '../../installer/rollout/stand-in-rules.ts';
import { PACKAGE_ROOT } from '../support/component-input.ts';
import { renderConfig } from '../support/golden.ts';
import { divertedConnectionsStay } from './support/diverted.ts';
import { until } from './support/docker.ts';
import { startMachine } from './support/machine.ts';

const RULES = '/var/lib/holdfast/stack/firewall/rules.nft';
const UNIT = '/etc/systemd/system/holdfast-firewall.service';
const CONFIG = `version: 1
domain: app.example.com
contact: ops@example.com
services: { web: { image: "a/b:1.2", port: 3000 } }
`;

/**
 * A network outside of the machine, a bridge with a container behind it, ports that listen on the host
 * and ports that are published the way Docker does it. Everybody answers with what he hears.
 */
const NETWORK = `
set -eu
sysctl -qw net.ipv4.ip_forward=1 net.ipv6.conf.all.disable_ipv6=0 net.ipv6.conf.default.disable_ipv6=0 net.ipv6.conf.all.forwarding=1
side() { # NAME DEVICE: a namespace with one link to this one
  ip netns add "$1"
  ip link add "$2" type veth peer name eth0 netns "$1"
  ip link set "$2" up
  ip -n "$1" link set eth0 up
  ip -n "$1" link set lo up
}
side outside wan0
ip addr add 192.0.2.1/24 dev wan0
ip addr add 2001:db8::1/64 dev wan0 nodad
for address in 192.0.2.7/24 192.0.2.8/24 173.245.48.9/24; do ip -n outside addr add $address dev eth0; done
for address in 2001:db8::7/64 2001:db8::8/64 2606:4700::9/64; do ip -n outside addr add $address dev eth0 nodad; done
ip route add 173.245.48.0/24 dev wan0
ip route add 2606:4700::/64 dev wan0
ip -n outside route add default via 192.0.2.1
ip -n outside route add default via 2001:db8::1
side container veth0
ip link add br-0123456789ab type bridge
ip link set veth0 master br-0123456789ab
ip link set br-0123456789ab up
ip addr add 172.30.0.1/24 dev br-0123456789ab
ip addr add fd00:30::1/64 dev br-0123456789ab nodad
ip -n container addr add 172.30.0.2/24 dev eth0
ip -n container addr add fd00:30::2/64 dev eth0 nodad
ip -n container route add default via 172.30.0.1
ip -n container route add default via fd00:30::1
for family in ip ip6; do
  to=172.30.0.2:8080
  [ $family = ip ] || to='[fd00:30::2]:8080'
  nft "add table $family engine; add chain $family engine nat { type nat hook prerouting priority dstnat; }
       add rule $family engine nat iifname wan0 tcp dport { 443, 5432 } dnat to $to"
done
echo() { # NAME ADDRESS PREFIX…
  unit=$1 address=$2
  shift 2
  systemd-run --quiet --collect --unit="$unit" "$@" systemd-socket-activate --listen="$address" --inetd --accept cat
}
echo in-container '[::]:8080' ip netns exec container
echo on-80 '[::]:80'
echo on-9000 '[::]:9000'
`;

t.test('what the rules let in, on a machine with systemd', async (t) => {
  const machine = await startMachine(t, 'trixie', `holdfast-test-wall-${process.pid}`);
  const ok = async (...command: string[]): Promise<string> => {
    const { code, stdout, stderr } = await machine.exec(...command);
    if (code !== 0) throw new Error(`${command.join(' ')} exited ${code}\n${stdout}${stderr}`);
    return stdout;
  };
  const put = (path: string, text: string): Promise<string> =>
    ok(
      'sh',
      '-c',
      'mkdir -p "$(dirname "$1")" && printf %s "$2" | base64 -d >"$1"',
      'sh',
      path,
      Buffer.from(text).toString('base64'),
    );
  const firewall = (verb: string, seconds = '60') =>
    machine.exec('env', `HOLDFAST_FIREWALL_SECONDS=${seconds}`, 'sh', '/root/firewall.sh', verb);
  /** What apply would write for this section. */
  const write = async (section: string): Promise<void> => {
    const { files } = renderConfig(`${CONFIG}firewall: ${section}\n`);
    for (const path of [RULES, UNIT]) {
      const file = files.get(path);
      if (file === undefined) await ok('rm', '-f', path);
      else await put(path, file.content);
    }
    await ok('nft', '--check', '--file', RULES);
  };
  const apply = async (section: string): Promise<void> => {
    await write(section);
    for (const verb of ['load', 'confirm']) {
      const { code, stderr } = await firewall(verb);
      if (code !== 0) throw new Error(`${verb}: ${stderr}`);
    }
  };
  /** Which of the targets answer to somebody outside with this address. */
  const reached = async (from: string, targets: readonly string[]): Promise<string[]> => {
    // 7 and 28: refused, or no answer in time. Whoever answers does not speak HTTP.
    const said = await ok(
      'ip',
      'netns',
      'exec',
      'outside',
      'sh',
      '-c',
      'from=$1; shift; for to; do { curl -s -o /dev/null --noproxy "*" --interface "$from" --connect-timeout 2 --max-time 30 "http://$to/"; case $? in 7 | 28) ;; *) echo "$to" ;; esac; } & done; wait',
      'sh',
      from,
      ...targets,
    );
    const answered = said.split('\n');
    return targets.filter((target) => answered.includes(target));
  };
  const V4 = ['22', '80', '443', '5432', '9000'].map((port) => `192.0.2.1:${port}`);
  const V6 = ['22', '80', '443', '5432', '9000'].map((port) => `[2001:db8::1]:${port}`);
  const DIRECT = ['172.30.0.2:8080', '[fd00:30::2]:8080'];
  const ports = (targets: readonly string[]) =>
    targets.map((target) => Number(/\d+$/.exec(target)?.[0]));

  await put('/root/firewall.sh', readFileSync(join(PACKAGE_ROOT, 'scripts/firewall.sh'), 'utf8'));
  await put('/root/fail2ban.sh', readFileSync(join(PACKAGE_ROOT, 'scripts/fail2ban.sh'), 'utf8'));
  await put('/images/lib/apt.sh', readFileSync(join(PACKAGE_ROOT, 'images/lib/apt.sh'), 'utf8'));
  await put('/root/network.sh', NETWORK);
  await ok('mkdir', '--parents', '/var/lib/holdfast/firewall');
  await ok('sh', '/root/network.sh');

  await t.test(
    'without rules everything answers, so that a closed port proves something',
    async (t) => {
      const everybody = [...V6, '[fd00:30::2]:8080'];
      await until('everybody listens', 20, async () => {
        const open = await reached('192.0.2.7', [...V4, ...DIRECT.slice(0, 1)]);
        const open6 = await reached('2001:db8::7', everybody);
        return open.length === V4.length + 1 && open6.length === everybody.length;
      });
      t.strictSame(await reached('2001:db8::7', everybody), everybody);
    },
  );

  await t.test('22, 80 and 443 answer and nothing else does, on both versions of IP', async (t) => {
    await apply('{}');
    t.strictSame(ports(await reached('192.0.2.7', V4)), [22, 80, 443]);
    t.strictSame(ports(await reached('2001:db8::7', V6)), [22, 80, 443]);
    t.strictSame(
      await reached('192.0.2.7', DIRECT.slice(0, 1)),
      [],
      "a neighbour who routes to a container's address",
    );
    t.strictSame(await reached('2001:db8::7', DIRECT.slice(1)), []);
  });

  await t.test('containers get out, and reach the host as before', async (t) => {
    const from = (url: string) =>
      machine.exec('ip', 'netns', 'exec', 'container', 'curl', '-s', '--max-time', '10', url);
    t.not((await from('http://172.30.0.1:9000/')).code, 28);
    await ok(
      'systemd-run',
      '--quiet',
      '--collect',
      '--unit=out-there',
      'ip',
      'netns',
      'exec',
      'outside',
      'systemd-socket-activate',
      '--listen=192.0.2.7:7000',
      '--inetd',
      '--accept',
      'cat',
    );
    await until('a container reaches the world', 10, async () => {
      const { code } = await from('http://192.0.2.7:7000/');
      return code !== 7 && code !== 28;
    });
  });

  await t.test(
    'denyFrom closes everything, also what is published; others stay welcome',
    async (t) => {
      await apply('{ denyFrom: [192.0.2.8, "2001:db8::8"] }');
      t.strictSame(await reached('192.0.2.8', V4), []);
      t.strictSame(await reached('2001:db8::8', V6), []);
      t.strictSame(ports(await reached('192.0.2.7', V4)), [22, 80, 443]);
      t.strictSame(ports(await reached('2001:db8::7', V6)), [22, 80, 443]);
    },
  );

  await t.test('ssh.allowFrom keeps others away from SSH only', async (t) => {
    await apply('{ ssh: { allowFrom: [192.0.2.7, "2001:db8::7", 172.16.0.0/12] } }');
    t.strictSame(ports(await reached('192.0.2.7', V4)), [22, 80, 443]);
    t.strictSame(ports(await reached('192.0.2.8', V4)), [80, 443]);
    t.strictSame(ports(await reached('2001:db8::8', V6)), [80, 443]);
  });

  await t.test('httpAllowFrom: cloudflare lets in its networks only', async (t) => {
    await apply('{ httpAllowFrom: cloudflare }');
    t.strictSame(ports(await reached('173.245.48.9', V4)), [22, 80, 443]);
    t.strictSame(ports(await reached('2606:4700::9', V6)), [22, 80, 443]);
    t.strictSame(ports(await reached('192.0.2.7', V4)), [22]);
    t.strictSame(ports(await reached('2001:db8::7', V6)), [22]);
  });

  await t.test(
    'a stand-in is reached by the port that was asked for, and by no other',
    async (t) => {
      const passed = { published: 80, target: 8080, through: 9000 };
      await put('/root/stand-in.nft', standInRules('172.30.0.2', [passed]));
      await ok('systemctl', 'stop', 'on-80');
      await apply('{}');
      t.strictSame(ports(await reached('2001:db8::7', V6)), [22, 443], 'nobody is on 80');
      await ok('nft', '--file', '/root/stand-in.nft');
      t.strictSame(ports(await reached('192.0.2.7', V4)), [22, 80, 443]);
      t.strictSame(ports(await reached('2001:db8::7', V6)), [22, 80, 443]);
      await apply('{ httpAllowFrom: cloudflare }');
      t.strictSame(ports(await reached('173.245.48.9', V4)), [22, 80, 443]);
      t.strictSame(ports(await reached('2606:4700::9', V6)), [22, 80, 443]);
      t.strictSame(ports(await reached('192.0.2.7', V4)), [22]);
      t.strictSame(ports(await reached('2001:db8::7', V6)), [22]);
      await apply('{ enabled: false }');
      t.strictSame(
        ports(await reached('2001:db8::7', V6)),
        [22, 80, 443, 5432],
        'its own port is closed by its own rules',
      );
      await ok(...REMOVE_STAND_IN_TABLES);
      await ok('sh', '-c', 'sed -n "/^echo()/,/^}/p; /^echo on-80/p" /root/network.sh | sh -eu');
    },
  );

  await t.test('connections that are there stay where they are, over IPv6 too', (t) =>
    divertedConnectionsStay(t, machine),
  );

  await t.test('rules that nobody confirms go away by themselves', async (t) => {
    await apply('{}');
    // The test itself comes from the second network.
    await write('{ ssh: { allowFrom: [203.0.113.1, 172.16.0.0/12] }, public: [80] }');
    // Time enough to look before they go.
    t.equal((await firewall('load', '20')).code, 0);
    t.strictSame(ports(await reached('192.0.2.7', V4)), [80], 'in force at once');
    await until('SSH is open again', 20, async () =>
      (await reached('192.0.2.7', V4)).includes('192.0.2.1:22'),
    );
    t.strictSame(ports(await reached('192.0.2.7', V4)), [22, 80, 443]);
    t.match(await firewall('confirm'), { code: 1, stderr: /too late/ });
    t.match(await ok('cat', '/var/lib/holdfast/firewall/confirmed.nft'), /dport \{ 80, 443 \}/);
  });

  await t.test('fail2ban bans from the host and from what is published, for real', async (t) => {
    const section =
      '{ fail2ban: { sshd: { maxRetry: 2, banTime: 600 }, nginxHttpAuth: { maxRetry: 2, banTime: 600 } } }';
    await apply(section);
    const { files } = renderConfig(`${CONFIG}firewall: ${section}\n`);
    for (const { path, content } of files.values()) {
      if (/fail2ban|bans\.nft/.test(path)) await put(path, content);
    }
    await ok('sh', '/root/fail2ban.sh');
    t.strictSame(ports(await reached('192.0.2.8', V4)), [22, 80, 443], 'nobody is banned yet');
    const guess = ['-o', 'BatchMode=yes', '-o', 'StrictHostKeyChecking=no', '-b', '192.0.2.8'];
    const isBanned = async (address: string, set: string) =>
      (await ok('nft', 'list', 'set', 'inet', 'holdfast_bans', set)).includes(address);
    await until('the guesser of SSH logins is banned', 60, async () => {
      await machine.exec(
        // Banned while it talks, it would wait for an answer for ever.
        ...['ip', 'netns', 'exec', 'outside', 'timeout', '5'],
        ...['ssh', ...guess, '-o', 'ConnectTimeout=2'],
        'nobody-we-know@192.0.2.1',
      );
      return isBanned('192.0.2.8', 'banned4');
    });
    t.strictSame(await reached('192.0.2.8', V4), []);
    t.strictSame(ports(await reached('192.0.2.7', V4)), [22, 80, 443], 'others stay');
    // The lines that nginx writes; edge-closed.test.ts has them from nginx itself.
    await until('the guesser of passwords is banned', 60, async () => {
      const log = '/var/lib/holdfast/logs/nginx/refused.log';
      await ok('sh', '-c', `echo "$(date -Iseconds) 2001:db8::8 401" >>${log}`);
      return isBanned('2001:db8::', 'banned6net');
    });
    t.strictSame(await reached('2001:db8::8', V6), []);
    t.strictSame(await reached('2001:db8::7', V6), [], 'nor from the next address of the network');
    await apply(section);
    t.ok(await isBanned('192.0.2.8', 'banned4'), 'new rules forget no ban');
    await ok('fail2ban-client', 'unban', '--all');
    t.strictSame(ports(await reached('192.0.2.8', V4)), [22, 80, 443]);
    t.strictSame(ports(await reached('2001:db8::7', V6)), [22, 80, 443]);
  });

  await t.test(
    'what belongs to others stays, and ours comes back when they throw it away',
    async (t) => {
      await apply('{}');
      t.match(await ok('nft', 'list', 'tables'), /ip engine/);
      await ok('systemctl', 'restart', 'nftables');
      t.equal((await machine.exec('nft', 'list', 'table', 'inet', 'holdfast')).code, 1);
      t.equal((await firewall('ensure')).code, 0);
      t.strictSame(ports(await reached('192.0.2.7', V4)), [22, 80]);
    },
  );

  await t.test('a reboot brings them back before anybody publishes a port', async (t) => {
    await machine.reboot();
    t.match(await ok('nft', 'list', 'table', 'inet', 'holdfast'), /hook forward/);
    t.match(await ok('systemctl', 'is-active', 'holdfast-firewall'), /^active/);
  });

  await t.test('taken out of the config, nothing of it is left', async (t) => {
    await apply('{ enabled: false }');
    t.notMatch(await ok('nft', 'list', 'tables'), /holdfast/);
    const left = await ok('find', '/etc/systemd/system', '-name', '*holdfast*');
    t.equal(left, '');
  });
});
