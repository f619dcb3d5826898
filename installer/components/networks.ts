import { coverWithCliques } from './networks/cliques.ts';

/**
 * Who shares a network with whom. A container reaches what it shares a network with and nothing else,
 * so these names are the access rules of the stack; `docs/decisions/networks.md` says why they are cut so.
 */

/** Prometheus, the exporters and Grafana; internal. */
export const MONITOR_NETWORK = 'monitor';

/** Redis and nginx, for counting requests; internal. */
export const LIMITS_NETWORK = 'limits';

/** Postgres and the receiver of its WAL; internal. */
export const WAL_NETWORK = 'wal';

/** A service's way out to the Internet, and the way in for nginx. */
export function appNetwork(service: string): string {
  return `app-${service}`;
}

/** A service with the servers that it uses, and with Prometheus where it has metrics; internal. */
export function dataNetwork(service: string): string {
  return `data-${service}`;
}

/** A server (`postgres`, `redis`, `nginx`) with its exporter alone; internal. */
export function exporterNetwork(server: 'postgres' | 'redis' | 'nginx'): string {
  return `exporter-${server}`;
}

/** What is looked at to cut the networks of services. */
export interface NetworkedService {
  readonly name: string;
  readonly peers: readonly string[];
}

/**
 * The internal networks that let each service reach its peers, by network name, members sorted.
 * Two services share one exactly when one of them names the other. A group in which everybody may reach
 * everybody shares a single network, so that `peers: "*"` costs one and not one for each pair.
 */
export function peerNetworks(
  services: readonly NetworkedService[],
): ReadonlyMap<string, readonly string[]> {
  const edges = services.flatMap(({ name, peers }) =>
    peers.filter((peer) => peer !== name).map((peer): readonly [string, string] => [name, peer]),
  );
  // Names hold no double hyphen, so no two pairs make the same network name.
  return new Map(
    coverWithCliques(edges).map(({ edge, members }) => [`peer-${edge[0]}--${edge[1]}`, members]),
  );
}

/** Whether a service shares a data network with anybody. */
export function hasDataNetwork(service: {
  readonly uses: readonly { readonly kind: string }[];
  readonly metrics: unknown;
}): boolean {
  return service.metrics !== undefined || service.uses.some(({ kind }) => kind !== 'bucket');
}
