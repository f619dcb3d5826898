import { STAND_IN_TABLE } from '../model/stand-in.ts';

/** One published port and where the stand-in answers for it. */
export interface Diverted {
  /** Host port that clients ask for. */
  readonly published: number;
  /** Port in the container. */
  readonly target: number;
  /** Host port on which the stand-in is published. */
  readonly through: number;
}

const CONTAINERS = '{ "docker0", "docker_gwbridge", "br-*" }';

/**
 * A table of our own that sends NEW connections to the stand-in, in one step; connections that are there stay where
 * they are. It comes right before Docker's own rewriting. Over IPv4 the container itself is the destination, so that
 * it sees who asks; what Docker's proxy serves (IPv6, loopback, other containers) goes through its proxy as ever.
 * The stand-in's own ports answer nobody outside who asks for them by their number.
 */
export function standInRules(address: string, ports: readonly Diverted[]): string {
  const arriving = ports.flatMap(({ published, target, through }) => [
    `meta nfproto ipv4 iifname != ${CONTAINERS} tcp dport ${published} dnat ip to ${address}:${target}`,
    `tcp dport ${published} redirect to :${through}`,
  ]);
  const leaving = ports.flatMap(({ published, target, through }) => [
    `meta nfproto ipv4 ip daddr != 127.0.0.0/8 tcp dport ${published} dnat ip to ${address}:${target}`,
    `tcp dport ${published} redirect to :${through}`,
  ]);
  const local = (rules: readonly string[]): string =>
    rules.map((rule) => `        fib daddr type local ${rule}\n`).join('');
  const own = ports.map(({ through }) => through).join(', ');
  return `add table inet ${STAND_IN_TABLE}
delete table inet ${STAND_IN_TABLE}
table inet ${STAND_IN_TABLE} {
    chain closed {
        type filter hook prerouting priority mangle; policy accept;
        iifname { "lo", "docker0", "docker_gwbridge", "br-*" } accept
        ct state new tcp dport { ${own} } drop
    }
    chain arriving {
        type nat hook prerouting priority dstnat - 10; policy accept;
        iifname "lo" accept
${local(arriving)}    }
    chain leaving {
        type nat hook output priority -110; policy accept;
${local(leaving)}    }
}
`;
}
