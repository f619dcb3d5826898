import { BlockList, isIPv6 } from 'node:net';

/** Addresses and networks of the two versions of IP apart, as sets of nft need them. */
export interface ByVersion {
  readonly v4: readonly string[];
  readonly v6: readonly string[];
}

export function byVersion(networks: readonly string[]): ByVersion {
  const isV6 = (network: string): boolean => network.includes(':');
  return {
    v4: networks.filter((network) => !isV6(network)),
    v6: networks.filter(isV6),
  };
}

/** Whether one of the networks holds the address. */
export function holds(networks: readonly string[], address: string): boolean {
  const list = new BlockList();
  for (const network of networks) {
    const [base = '', prefix] = network.split('/');
    const family = isIPv6(base) ? 'ipv6' : 'ipv4';
    if (prefix === undefined) list.addAddress(base, family);
    else list.addSubnet(base, Number(prefix), family);
  }
  return list.check(address, isIPv6(address) ? 'ipv6' : 'ipv4');
}
