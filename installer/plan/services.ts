import type { RolledService } from '../model/contribution.ts';
import type { Desired } from '../model/desired.ts';
import { areInService, type EdgeState, servingSlot } from '../model/edge-state.ts';
import type { Drift, Gap, ServiceChange } from '../model/operation.ts';
import type { StackService } from '../model/stack.ts';
import { alterations } from './altered.ts';
import type { Observed, ObservedContainer } from './observed.ts';

export interface ServiceChanges {
  /** By stack service name. */
  readonly changes: ReadonlyMap<string, ServiceChange>;
  readonly drift: readonly Drift[];
  /** Running containers of releases that do not serve, by service: a killed deploy left them. */
  readonly leftRunning: ReadonlyMap<string, readonly string[]>;
}

/** What has to happen to each service of the stack so that its containers are as desired. */
export function serviceChanges(
  desired: Desired,
  observed: Observed,
  staleNetworks: ReadonlySet<string>,
  restarts: ReadonlySet<string> = new Set(),
): ServiceChanges {
  const changes = new Map<string, ServiceChange>();
  const drift: Drift[] = [];
  const leftRunning = new Map<string, string[]>();
  for (const [name, service] of Object.entries(desired.stack.services)) {
    const all = observed.containers.filter((container) => container.service === name);
    const rolled = desired.rolled.get(name);
    const slot = servingSlot(observed.edge, name, all);
    const containers = rolled === undefined ? all : all.filter((one) => one.slot === slot);
    const spec = desired.specs.get(name) ?? '';
    const imageId = observed.images.get(service.image);
    const found = changeOf(service, spec, imageId, containers, staleNetworks);
    const change =
      rolled === undefined
        ? found
        : rolledChange(found, rolled, {
            edge: observed.edge,
            containers,
            isRestarted: restarts.has(name),
          });
    const others = all.filter(
      ({ id, atRest }) => !atRest && !containers.some((one) => one.id === id),
    );
    // Those of a release that is about to be made are not in its way: it takes them over.
    if (others.length > 0 && change?.change !== 'release') {
      leftRunning.set(
        name,
        others.map(({ id }) => id),
      );
    }
    if (change === undefined) continue;
    const gap =
      change.change === 'recreate' ? gapOf(name, desired, observed, staleNetworks) : undefined;
    changes.set(name, { service: name, ...change, ...(gap === undefined ? {} : { gap }) });
    if (containers.length > 0 && change.drift !== undefined) {
      drift.push({ subject: name, text: change.drift, blocks: false });
    }
  }
  return { changes, drift, leftRunning };
}

/** What becomes of the published ports of a service while its container is replaced; undefined where there are none. */
function gapOf(
  name: string,
  { stack, standIns }: Desired,
  { containers, standInLeft }: Observed,
  staleNetworks: ReadonlySet<string>,
): Gap | undefined {
  if ((stack.services[name]?.ports ?? []).length === 0) return undefined;
  const standIn = standIns.find(({ service }) => service === name);
  if (standIn === undefined) return { standIn: false, why: 'nothing else can answer for it' };
  if (standIn.impossible !== undefined) return { standIn: false, why: standIn.impossible };
  const own = containers.filter(({ service }) => service === name);
  if (own.some(({ networks }) => networks.some((network) => staleNetworks.has(network)))) {
    return { standIn: false, why: 'its network is replaced first' };
  }
  return standInLeft || own.some(({ running }) => running)
    ? { standIn: true }
    : { standIn: false, why: 'it does not run now either' };
}

interface Change {
  readonly change: ServiceChange['change'];
  readonly cause: string;
  readonly drift?: string;
}

function changeOf(
  service: StackService,
  spec: string,
  imageId: string | undefined,
  containers: readonly ObservedContainer[],
  staleNetworks: ReadonlySet<string>,
): Change | undefined {
  if (containers.length === 0) return { change: 'create', cause: 'new' };
  if (containers.some((container) => container.spec !== spec)) {
    return { change: 'recreate', cause: 'its definition changed' };
  }
  if (imageId !== undefined && containers.some((container) => container.imageId !== imageId)) {
    return { change: 'recreate', cause: 'its image changed' };
  }
  if (containers.some(({ networks }) => networks.some((name) => staleNetworks.has(name)))) {
    return { change: 'recreate', cause: 'its network changed' };
  }
  const altered = new Set(containers.flatMap((container) => alterations(service, container)));
  if (altered.size > 0) {
    const what = `its ${[...altered].join(' and its ')} ${altered.size === 1 ? 'was' : 'were'} altered`;
    return { change: 'recreate', cause: what, drift: `${what} by someone else` };
  }
  const wanted = service.scale ?? 1;
  if (containers.length !== wanted) {
    return {
      change: 'scale',
      cause: `${containers.length} of ${wanted} replicas`,
    };
  }
  const stopped = containers.filter((container) => !container.running);
  if (stopped.length > 0) {
    return {
      change: 'start',
      cause: `${stopped.length} of ${wanted} not running`,
      drift: `${stopped.length} of ${wanted} containers not running`,
    };
  }
  return undefined;
}

/** A rolled service is never recreated in place, and nginx has to know where it is. */
function rolledChange(
  found: Change | undefined,
  { service, port }: RolledService,
  {
    edge,
    containers,
    isRestarted,
  }: {
    readonly edge: EdgeState;
    /** Of the slot that serves. */
    readonly containers: readonly ObservedContainer[];
    readonly isRestarted: boolean;
  },
): Change | undefined {
  if (found?.change === 'recreate') return { ...found, change: 'release' };
  if (found?.change === 'create') return found;
  if (isRestarted) return { change: 'release', cause: 'a secret file of it changed' };
  if (found !== undefined) return found;
  const known = edge.services[service];
  if (known === undefined || known.port !== port) {
    return { change: 'start', cause: 'requests do not find it yet' };
  }
  return areInService(known, containers)
    ? undefined
    : { change: 'start', cause: 'a replica was not put into service' };
}

/** Groups of services in the order of `depends_on`: each group needs only earlier ones. */
export function startOrder(services: Readonly<Record<string, StackService>>): string[][] {
  const level = new Map<string, number>();
  const levelOf = (name: string, path: readonly string[]): number => {
    const known = level.get(name);
    if (known !== undefined) return known;
    if (path.includes(name)) {
      throw new Error(`depends_on runs in a circle: ${[...path, name].join(' → ')}`);
    }
    const needs = Object.keys(services[name]?.depends_on ?? {}).filter((need) => need in services);
    const own = Math.max(-1, ...needs.map((need) => levelOf(need, [...path, name]))) + 1;
    level.set(name, own);
    return own;
  };
  const groups: string[][] = [];
  for (const name of Object.keys(services).sort()) {
    const own = levelOf(name, []);
    groups[own] ??= [];
    groups[own].push(name);
  }
  return groups;
}
