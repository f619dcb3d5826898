import t from 'tap';
import { hasIpv6, otherFirewalls, sshFacts } from '../../installer/apply/network-facts.ts';
import { MemoryHost } from '../support/memory-host.ts';

const looks = { looks: true };

t.test('SSH ports are those of the configuration and those of the sockets', async (t) => {
  const host = new MemoryHost();
  host.on(
    ['/usr/sbin/sshd', '-T'],
    () => ({ stdout: 'port 2200\naddressfamily any\nlistenaddress [::]:2201\n' }),
    looks,
  );
  host.on(
    ['ss'],
    () => ({
      stdout: [
        'LISTEN 0 128 0.0.0.0:2022 0.0.0.0:* users:(("sshd",pid=7,fd=3))',
        'LISTEN 0 128    [::]:2022    [::]:* users:(("sshd",pid=7,fd=4))',
        'LISTEN 0 511 0.0.0.0:8080 0.0.0.0:* users:(("node",pid=9,fd=3))',
      ].join('\n'),
    }),
    looks,
  );
  t.strictSame(await sshFacts(host), { ports: [2022, 2200, 2201] });
});

t.test(
  'the session over SSH says from where, also as an IPv4 address in IPv6 clothes',
  async (t) => {
    const host = new MemoryHost('root@192.0.2.1');
    let connection = '::ffff:198.51.100.7 51812 ::ffff:192.0.2.1 2222';
    host.on(['printenv', 'SSH_CONNECTION'], () => ({ stdout: `${connection}\n` }), looks);
    t.match(await sshFacts(host), {
      ports: [2222],
      session: { address: '198.51.100.7', port: 2222 },
    });
    connection = 'fe80::1%eth0 51812 fe80::2%eth0 22';
    t.match(await sshFacts(host), { session: { address: 'fe80::1', port: 22 } });
  },
);

t.test('sudo forgets the session: the processes above are asked', async (t) => {
  const host = new MemoryHost('localhost');
  const proc = (pid: number, parent: number, environment: string): void => {
    const attributes = { mode: 0o444, uid: 0, gid: 0 };
    host.files.write(`/proc/${pid}/environ`, Buffer.from(environment), attributes);
    host.files.write(`/proc/${pid}/stat`, Buffer.from(`${pid} (a) (b) S ${parent} 1`), attributes);
  };
  proc(process.pid, 41, 'SUDO_USER=ann\0');
  proc(41, 40, '');
  proc(40, 1, 'HOME=/home/ann\0SSH_CONNECTION=192.0.2.9 50000 192.0.2.1 22\0TERM=xterm\0');
  t.match(await sshFacts(host), { session: { address: '192.0.2.9', port: 22 } });
  proc(40, 1, 'HOME=/home/ann\0');
  t.strictSame(await sshFacts(host), { ports: [] });
});

t.test('IPv6 is there when an interface to the outside has an address of it', async (t) => {
  const host = new MemoryHost();
  t.equal(await hasIpv6(host), false, 'a kernel without it');
  const addresses = (...names: string[]): void =>
    host.files.write(
      '/proc/net/if_inet6',
      Buffer.from(
        names.map((name) => `fe80000000000000 02 40 20 80 ${name.padStart(8)}\n`).join(''),
      ),
      { mode: 0o444, uid: 0, gid: 0 },
    );
  addresses();
  t.equal(await hasIpv6(host), false, 'switched off');
  addresses('lo', 'docker0', 'br-0123456789ab', 'veth1a2b3c4');
  t.equal(await hasIpv6(host), false, 'what the engine makes does not count');
  for (const outward of ['eth0', 'br-lan', 'br0']) {
    addresses('lo', outward);
    t.equal(await hasIpv6(host), true, outward);
  }
});

t.test('an active ufw or firewalld is seen', async (t) => {
  const host = new MemoryHost();
  t.strictSame(await otherFirewalls(host), []);
  const attributes = { mode: 0o644, uid: 0, gid: 0 };
  host.files.write('/etc/ufw/ufw.conf', Buffer.from('# x\nENABLED=no\n'), attributes);
  t.strictSame(await otherFirewalls(host), []);
  host.files.write('/etc/ufw/ufw.conf', Buffer.from('ENABLED=yes\nLOGLEVEL=low\n'), attributes);
  const enabled = '/etc/systemd/system/multi-user.target.wants/firewalld.service';
  host.files.write(enabled, Buffer.from('[Unit]\n'), attributes);
  t.strictSame(await otherFirewalls(host), ['ufw', 'firewalld']);
});
