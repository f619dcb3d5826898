/** A service whose published ports must answer while its container is replaced. */
export interface StandIn {
  readonly service: string;
  /** Network of the stack on which its ports are published. */
  readonly network: string;
  /** What takes connections over IPv6 in front of it. */
  readonly relay?: Relay;
  /** Why a stand-in cannot answer meanwhile on this machine; absent where it can. */
  readonly impossible?: string;
}

/** Hands on connections over IPv6 to a service; it is replaced with it, and has a stand-in of its own meanwhile. */
export interface Relay {
  readonly service: string;
  /** Network of the stack on which it finds the service, whose address is fixed there. */
  readonly network: string;
  /** Of the service's stand-in, on that network. */
  readonly address: string;
  /** Arguments of its own stand-in. */
  readonly command: readonly [string, ...string[]];
  /** Host ports that clients ask for, and those on which its stand-in listens. */
  readonly ports: readonly { readonly published: number; readonly through: number }[];
}

/** Also the value of the label on its stand-in. */
export const RELAY_SERVICE = 'nginx-ipv6';

/**
 * Host ports of the stand-in, in the order of the service's published ports; the next free ones when taken. Below 32768,
 * from where on Linux gives ports to outgoing connections (ip_local_port_range): what one of them has, cannot be published.
 */
export const STAND_IN_FIRST_PORT = 17_080;

/** In nftables, family inet: what sends new connections to the stand-in. */
export const STAND_IN_TABLE = 'holdfast_stand_in';

/** In nftables, family inet: lets the kernel go on with the connections that the stand-in has, until it has none. */
export const KEEP_TABLE = 'holdfast_stand_in_kept';

const remove = (table: string): string => `add table inet ${table}; delete table inet ${table}`;

/** New connections go elsewhere; one atomic step, also where the table is not there. */
export const REMOVE_STAND_IN_TABLE = ['nft', remove(STAND_IN_TABLE)] as const;

/** The same for both tables. */
export const REMOVE_STAND_IN_TABLES = [
  'nft',
  `${remove(STAND_IN_TABLE)}; ${remove(KEEP_TABLE)}`,
] as const;

/** Succeeds where the table is there. */
export const LOOK_FOR_STAND_IN_TABLE = ['nft', 'list', 'table', 'inet', STAND_IN_TABLE] as const;

/** What nft complains of where it may do nothing at all, so that no table of ours can have been loaded either. */
export const NFT_REFUSED = /not permitted|not supported/i;
