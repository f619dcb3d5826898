import type { Config } from '../sections.ts';
import type { HostBlock, Location } from './hosts.ts';

/**
 * How a request finds a replica. Without `sticky`, the engine's DNS gives the addresses of all replicas
 * for the name of the service, and nginx takes them in turn. With it, the client's address or its cookie
 * chooses one container by its name; when that one cannot be reached, any other takes the request.
 */
export interface Split {
  /** nginx variable that becomes the name of a container. */
  readonly variable: string;
  /** nginx variables that stay the same for the same client. */
  readonly key: 'client' | 'cookie';
  readonly shares: readonly { readonly share: string; readonly container: string }[];
}

export function splitVariable({ service, sticky }: Location): string {
  // Names of services hold no underscore: no two of them meet.
  return `replica_${service.replaceAll('-', '_')}_${sticky}`;
}

/** Whether there is a choice to stick to. */
export function isSplit(config: Config, { service, sticky }: Location): boolean {
  return sticky !== undefined && replicasOf(config, service) > 1;
}

/** One for each service and way of sticking. */
export function splitsOf(config: Config, blocks: readonly HostBlock[]): Split[] {
  const locations = blocks
    .flatMap((block) => block.locations)
    .filter((location) => isSplit(config, location));
  const splits = locations.map((location): Split => {
    const count = replicasOf(config, location.service);
    return {
      variable: splitVariable(location),
      key: location.sticky === 'cookie' ? 'cookie' : 'client',
      shares: Array.from({ length: count }, (_, index) => ({
        share: index + 1 === count ? '*' : `${Math.floor(10_000 / count) / 100}%`,
        container: `${config.project}-${location.service}-${index + 1}`,
      })),
    };
  });
  return [...new Map(splits.map((split) => [split.variable, split])).values()];
}

function replicasOf(config: Config, service: string): number {
  return config.services[service]?.replicas.min ?? 1;
}
