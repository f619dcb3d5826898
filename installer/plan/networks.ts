import type { NetworkMembers, Operation, ServiceChange } from '../model/operation.ts';
import { engineName, type Stack, type StackNetwork } from '../model/stack.ts';
import type { Observed, ObservedContainer } from './observed.ts';

/** The networks of a stack and who is on them, all by the networks' names on the engine. */
export interface WantedNetworks {
  readonly networks: Readonly<Record<string, StackNetwork>>;
  /** Network names by stack service. */
  readonly services: Readonly<Record<string, readonly string[]>>;
  /** IPv4 addresses that are fixed, by stack service and network name; absent in what was kept before there were any. */
  readonly addresses?: Readonly<Record<string, Readonly<Record<string, string>>>>;
}

export function wantedNetworks({ project, networks, services }: Stack): WantedNetworks {
  return {
    networks: Object.fromEntries(
      Object.entries(networks).map(([name, network]) => [engineName(project, name), network]),
    ),
    services: Object.fromEntries(
      Object.entries(services).map(([service, { networks: own }]) => [
        service,
        Object.keys(own)
          .map((name) => engineName(project, name))
          .sort(),
      ]),
    ),
    addresses: Object.fromEntries(
      Object.entries(services).flatMap(([service, { networks: own }]) => {
        const fixed = Object.entries(own).flatMap(([name, one]) =>
          one === null ? [] : [[engineName(project, name), one.ipv4_address] as const],
        );
        return fixed.length === 0 ? [] : [[service, Object.fromEntries(fixed)] as const];
      }),
    ),
  };
}

/** What networks and containers are there. */
export interface ObservedNetworks extends Pick<Observed, 'networks'> {
  readonly containers: readonly Pick<ObservedContainer, 'id' | 'service' | 'networks'>[];
}

export type NetworkOperation = Extract<
  Operation,
  { kind: 'create-network' | 'connect-network' | 'disconnect-network' | 'remove-network' }
>;

/** Wanted networks that containers may be attached to, but not as wanted: another subnet, or removed behind them. */
export function staleNetworks(
  { networks }: WantedNetworks,
  observed: Pick<Observed, 'networks'>,
): ReadonlySet<string> {
  const subnets = new Map(observed.networks.map(({ name, subnet }) => [name, subnet]));
  return new Set(
    Object.entries(networks).flatMap(([name, { subnet }]) =>
      subnets.get(name) === subnet ? [] : [name],
    ),
  );
}

export interface NetworkOperations {
  /** Before containers are created and started. */
  readonly first: readonly NetworkOperation[];
  /** After containers that are no longer wanted were removed. */
  readonly last: readonly NetworkOperation[];
}

/**
 * What has to happen to the networks, so that containers which need nothing else keep their ids:
 * those that are created or recreated get theirs from the compose file.
 */
export function networkOperations(
  wanted: WantedNetworks,
  observed: ObservedNetworks,
  changes: ReadonlyMap<string, Pick<ServiceChange, 'change'>>,
): NetworkOperations {
  const names = Object.keys(wanted.networks).sort();
  const stale = staleNetworks(wanted, observed);
  const ours = observed.networks.map(({ name }) => name).sort();
  const replaced = ours.filter((name) => stale.has(name));
  const kept = observed.containers.filter(({ service }) => {
    const change = changes.get(service)?.change;
    return service in wanted.services && change !== 'create' && change !== 'recreate';
  });
  const isWanted = (service: string, network: string): boolean =>
    wanted.services[service]?.includes(network) === true;
  const lacking = (network: string) =>
    kept.filter(
      ({ service, networks }) => isWanted(service, network) && !networks.includes(network),
    );
  const surplus = (network: string) =>
    kept.filter(
      ({ service, networks }) => !isWanted(service, network) && networks.includes(network),
    );
  const attached = (network: string) =>
    observed.containers.filter(({ networks }) => networks.includes(network));
  return {
    first: [
      ...replaced.flatMap((name) => [
        ...members('disconnect-network', name, attached(name), 'its subnet changed'),
        removal(name, 'its subnet changed'),
      ]),
      ...names.filter((name) => stale.has(name)).map((name) => creation(name, wanted)),
      ...names.flatMap((name) =>
        members('connect-network', name, lacking(name), 'shares it by the config').map(
          (operation) => withAddress(operation, wanted),
        ),
      ),
    ],
    last: [
      ...ours
        .filter((name) => !replaced.includes(name))
        .flatMap((name) =>
          members('disconnect-network', name, surplus(name), 'no longer shares it'),
        ),
      ...ours
        .filter((name) => wanted.networks[name] === undefined)
        .map((name) => removal(name, 'no longer in the config')),
    ],
  };
}

function creation(network: string, { networks }: WantedNetworks): NetworkOperation {
  const { subnet = '', internal = true } = networks[network] ?? {};
  return {
    kind: 'create-network',
    id: `create-network:${network}`,
    network,
    subnet,
    internal,
    cause: 'new',
    impact: 'none',
  };
}

function removal(network: string, cause: string): NetworkOperation {
  return {
    kind: 'remove-network',
    id: `remove-network:${network}`,
    network,
    cause,
    impact: 'none',
  };
}

/** One operation for each service among the containers. */
function members(
  kind: 'connect-network' | 'disconnect-network',
  network: string,
  containers: ObservedNetworks['containers'],
  cause: string,
): NetworkOperation[] {
  const byService = new Map<string, string[]>();
  for (const { service, id } of containers) {
    byService.set(service, [...(byService.get(service) ?? []), id]);
  }
  return [...byService]
    .sort(([a], [b]) => (a < b ? -1 : 1))
    .map(([service, ids]) => {
      const of: NetworkMembers = { network, service, containers: ids };
      return { kind, id: `${kind}:${network}:${service}`, ...of, cause, impact: 'none' };
    });
}

/** Others find it by that address. */
function withAddress(operation: NetworkOperation, { addresses }: WantedNetworks): NetworkOperation {
  if (operation.kind !== 'connect-network') return operation;
  const address = addresses?.[operation.service]?.[operation.network];
  return address === undefined ? operation : { ...operation, address };
}
