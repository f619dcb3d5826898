import { AppError } from '../errors.ts';
import { engineName } from '../model/stack.ts';

/**
 * Each network gets a /26 (61 containers) of 10.213.0.0/16. Docker's own pools hold about 30 networks
 * (default-address-pools of the engine), too few for one or two networks a service.
 */
const NETWORK_COUNT = 1024;

/**
 * Subnets by network name. One that is known stays; a new name takes the lowest free one, so that adding
 * a service moves nobody. Known names that are not wanted any more keep theirs too: their networks go only
 * after the new ones were made.
 *
 * @throws AppError `config/too-many-networks`
 */
export function allocateSubnets(
  names: readonly string[],
  known: Readonly<Record<string, string>>,
): Record<string, string> {
  const allocated: Record<string, string> = {};
  const sorted = [...names].sort();
  for (const name of sorted) {
    const subnet = known[name];
    if (subnet !== undefined) allocated[name] = subnet;
  }
  const taken = new Set(Object.values(known));
  let next = 0;
  for (const name of sorted) {
    if (allocated[name] !== undefined) continue;
    while (taken.has(subnetAt(next))) next += 1;
    if (next >= NETWORK_COUNT) throw tooMany(new Set([...names, ...Object.keys(known)]).size);
    allocated[name] = subnetAt(next);
    taken.add(subnetAt(next));
  }
  return Object.fromEntries(sorted.map((name) => [name, allocated[name] ?? '']));
}

function tooMany(count: number): AppError {
  return new AppError({
    code: 'config/too-many-networks',
    what: `The config needs ${count} networks, and there is room for ${NETWORK_COUNT}`,
    why: 'each service has a network of its own, and another one for what it uses; networks that this apply removes count until it is done',
    hint: 'Take services, `uses` or `peers` out of config.yaml, then: holdfast plan',
  });
}

/** The subnets in use on the engine, by the stack's own network names. */
export function subnetsInUse(
  project: string,
  networks: readonly { readonly name: string; readonly subnet: string }[],
): Record<string, string> {
  const prefix = engineName(project, '');
  return Object.fromEntries(
    networks
      .filter(({ name, subnet }) => name.startsWith(prefix) && subnet !== '')
      .map(({ name, subnet }) => [name.slice(prefix.length), subnet]),
  );
}

function subnetAt(index: number): string {
  const address = index * 64;
  return `10.213.${Math.floor(address / 256)}.${address % 256}/26`;
}
