import type { Machine } from './machine.ts';

/** Addresses of clients over IPv6 outside of a machine, and its own. */
export const OUTSIDE = { clients: ['2001:db8::7', '2001:db8::8'], machine: '2001:db8::1' } as const;

/** Runs what follows as somebody outside would. */
export const AS_OUTSIDE = ['ip', 'netns', 'exec', 'outside'] as const;

const NETWORK = `
set -eu
sysctl -qw net.ipv6.conf.all.disable_ipv6=0 net.ipv6.conf.default.disable_ipv6=0
ip netns add outside
ip link add wan0 type veth peer name eth0 netns outside
ip link set wan0 up
ip -n outside link set eth0 up
ip addr add ${OUTSIDE.machine}/64 dev wan0 nodad
for address in ${OUTSIDE.clients.join(' ')}; do ip -n outside addr add $address/64 dev eth0 nodad; done
`;

/** Gives a machine IPv6, and somebody who asks over it; both end with a power cut. */
export async function bringIpv6(machine: Machine): Promise<void> {
  const { code, stderr } = await machine.exec('sh', '-c', NETWORK);
  if (code !== 0) throw new Error(`IPv6 on ${machine.name}: ${stderr}`);
}
