import { KEEP_TABLE, STAND_IN_TABLE } from '../model/stand-in.ts';

/** A host port that clients ask for and the one on which somebody answers for it meanwhile. */
export interface Redirected {
  readonly published: number;
  readonly through: number;
}

/** The same of what is published. */
export interface Diverted extends Redirected {
  /** Port in the container. */
  readonly target: number;
}

/** The first packet of a connection. */
const OPENS = 'tcp flags & (fin | syn | rst | ack) == syn';

const CONTAINERS = '{ "docker0", "docker_gwbridge", "br-*" }';

/**
 * A table of our own that sends NEW connections to the stand-in, in one step; connections that are there stay where
 * they are, also where nobody has tracked them so far: of those, a later packet is the first that the kernel sees, and
 * only one that opens a connection is looked at. It comes right before Docker's own rewriting. Over IPv4 the container itself is the destination, so that
 * it sees who asks; what Docker's proxy serves (loopback, other containers) goes through its proxy as ever. Over IPv6
 * the stand-in of the relay answers, where there is one.
 * The stand-in's own ports answer nobody outside who asks for them by their number.
 * The kernel rewrites packets of connections that it has sent elsewhere only while somebody has rules of that kind, and
 * tracks them while somebody asks for their state. Over IPv6 nobody else may, so a second table does until the stand-in is gone.
 */
export function standInRules(
  address: string,
  ports: readonly Diverted[],
  relayed: readonly Redirected[] = [],
): string {
  const overIpv6 = relayed.map(
    ({ published, through }) =>
      `meta nfproto ipv6 tcp dport ${published} ${OPENS} redirect to :${through}`,
  );
  const arriving = ports.flatMap(({ published, target, through }) => [
    `meta nfproto ipv4 iifname != ${CONTAINERS} tcp dport ${published} ${OPENS} dnat ip to ${address}:${target}`,
    `tcp dport ${published} ${OPENS} redirect to :${through}`,
  ]);
  const leaving = ports.flatMap(({ published, target, through }) => [
    `meta nfproto ipv4 ip daddr != 127.0.0.0/8 tcp dport ${published} ${OPENS} dnat ip to ${address}:${target}`,
    `tcp dport ${published} ${OPENS} redirect to :${through}`,
  ]);
  const local = (rules: readonly string[]): string =>
    rules.map((rule) => `        fib daddr type local ${rule}\n`).join('');
  const own = [...ports, ...relayed].map(({ through }) => through).join(', ');
  return `add table inet ${STAND_IN_TABLE}
delete table inet ${STAND_IN_TABLE}
add table inet ${KEEP_TABLE}
delete table inet ${KEEP_TABLE}
table inet ${KEEP_TABLE} {
    chain closed {
        type filter hook prerouting priority mangle; policy accept;
        iifname { "lo", "docker0", "docker_gwbridge", "br-*" } accept
        ct state new tcp dport { ${own} } drop
    }
    chain arriving {
        type nat hook prerouting priority dstnat; policy accept;
    }
    chain leaving {
        type nat hook output priority -100; policy accept;
    }
}
table inet ${STAND_IN_TABLE} {
    chain arriving {
        type nat hook prerouting priority dstnat - 10; policy accept;
        iifname "lo" accept
${local([...overIpv6, ...arriving])}    }
    chain leaving {
        type nat hook output priority -110; policy accept;
${local([...overIpv6, ...leaving])}    }
}
`;
}
