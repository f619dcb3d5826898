import type { Test } from 'tap';
import {
  REMOVE_STAND_IN_TABLE,
  REMOVE_STAND_IN_TABLES,
} from '../../../installer/model/stand-in.ts';
import { standInRules } from '../../../installer/rollout/stand-in-rules.ts';
import { until } from './docker.ts';
import type { Machine } from './machine.ts';

const ADDRESS = '2001:db8:9::1';
const PORTS = { published: 443, through: 17_079 };

/** A server and its client where nobody has rules of any kind, so that the kernel tracks nothing over IPv6. */
const NETWORK = `
set -eu
for name in server client; do
  ip netns add $name
  ip netns exec $name sysctl -qw net.ipv6.conf.all.disable_ipv6=0 net.ipv6.conf.default.disable_ipv6=0
done
ip link add eth0 netns server type veth peer name eth0 netns client
for name in server client; do
  ip -n $name link set lo up
  ip -n $name link set eth0 up
done
ip -n server addr add ${ADDRESS}/64 dev eth0 nodad
ip -n client addr add 2001:db8:9::7/64 dev eth0 nodad
listen() { # NAME PORT: says its name first, and then what it hears
  systemd-run --quiet --collect --unit="kept-$1" ip netns exec server systemd-socket-activate --listen="[::]:$2" --inetd --accept sh -c "echo $1; exec cat"
}
listen relay ${PORTS.published}
listen stand-in ${PORTS.through}
`;

/** Three connections: one from before, one that the stand-in gets, one that comes when it gets no more. */
const CLIENT = `
set -u
trap '' PIPE
rules() { nsenter --net=/run/netns/server nft "$@"; }
hear() { read -r -t 30 -u "$1" heard && echo "$2: $heard" || echo "$2: lost"; }
say() { echo "still there" >&"$1"; hear "$1" "$2"; }
exec 3<>/dev/tcp/${ADDRESS}/${PORTS.published}
hear 3 before
rules --file /root/diverted.nft
say 3 before
exec 4<>/dev/tcp/${ADDRESS}/${PORTS.published}
hear 4 diverted
rules '${REMOVE_STAND_IN_TABLE[1]}'
say 4 diverted
say 3 before
exec 5<>/dev/tcp/${ADDRESS}/${PORTS.published}
hear 5 after
exec 4>&-
rules '${REMOVE_STAND_IN_TABLES[1]}'
say 3 before
say 5 after
echo "left: $(rules list tables)"
`;

/**
 * The kernel goes on with every connection over IPv6 while new ones are sent to a stand-in and back, where no other rules
 * make it do so: it would take a connection that it has not tracked for a new one, and forget what it has rewritten.
 */
export async function divertedConnectionsStay(t: Test, machine: Machine): Promise<void> {
  const ok = async (...command: string[]): Promise<string> => {
    const { code, stdout, stderr } = await machine.exec(...command);
    if (code !== 0) throw new Error(`${command.join(' ')} exited ${code}\n${stdout}${stderr}`);
    return stdout;
  };
  await ok('sh', '-c', NETWORK);
  const rules = standInRules('192.0.2.77', [], [PORTS]);
  await ok('sh', '-c', 'printf %s "$1" >/root/diverted.nft', 'sh', rules);
  for (const port of Object.values(PORTS)) {
    const connect = `exec 3<>/dev/tcp/${ADDRESS}/${port}`;
    await until(`somebody listens on ${port}`, 30, async () => {
      const argv = ['ip', 'netns', 'exec', 'client', 'bash', '-c', connect];
      return (await machine.exec(...argv)).code === 0;
    });
  }
  const said = await ok('ip', 'netns', 'exec', 'client', 'bash', '-c', CLIENT);
  t.strictSame(said.trim().split('\n'), [
    'before: relay',
    'before: still there',
    'diverted: stand-in',
    'diverted: still there',
    'before: still there',
    'after: relay',
    'before: still there',
    'after: still there',
    'left:',
  ]);
}
