/**
 * Where nginx sends the requests for each service: `<paths.edge>/services.json`. nginx looks at it several
 * times a second and follows without a reload. Whoever changes it (apply, a deploy, the agent) computes it
 * from what the engine shows, the recorded slot and the verdicts that stand in it, so that every writer
 * comes to the same list. See docs/decisions/edge-upstreams.md.
 */
export interface EdgeState {
  readonly version: 1;
  /** One more with each change; nginx tells which one it has adopted. */
  readonly generation: number;
  /** By service. */
  readonly services: Readonly<Record<string, EdgeService>>;
}

/** A service has two sets of containers: one serves, the other is the release before or after it. */
export const SLOTS = ['a', 'b'] as const;
export type Slot = (typeof SLOTS)[number];

export interface EdgeService {
  /** The set of containers that serves. */
  readonly slot: Slot;
  /** Absent when nothing is routed to it. */
  readonly port?: number;
  /** Sorted by container. */
  readonly replicas: readonly EdgeReplica[];
}

/** `draining` gets no new requests and finishes what it has; `out` is sick. */
export type ReplicaState = 'up' | 'draining' | 'out';

export interface EdgeReplica {
  /** Name of the container; nginx asks the engine's DNS for its address. */
  readonly container: string;
  /** Of the container that the state was said of: one created anew starts as `up`. */
  readonly id: string;
  readonly state: ReplicaState;
  /** Why it is not `up`, for people. */
  readonly reason?: string;
}

/** Why a replica that came while its service was serving is out, until it was seen healthy. */
export const STARTING = 'starting';

export const EMPTY_EDGE_STATE: EdgeState = { version: 1, generation: 0, services: {} };

/** What the state is computed from. */
export interface EdgeContainer {
  readonly id: string;
  readonly name: string;
  readonly service: string;
  readonly slot: Slot;
}

export function otherSlot(slot: Slot): Slot {
  return slot === 'a' ? 'b' : 'a';
}

/** Name of one of the two sets of containers, in the compose file and in the containers' names. */
export function slotName(service: string, slot: Slot): string {
  return `${service}_${slot}`;
}

/** The slot that serves: as recorded, or, where the record is lost, the one that runs. */
export function servingSlot(
  state: EdgeState,
  service: string,
  containers: readonly { readonly slot: Slot; readonly running: boolean }[],
): Slot {
  const recorded = state.services[service]?.slot;
  const has = (slot: Slot) => containers.some((container) => container.slot === slot);
  if (recorded !== undefined && has(recorded)) return recorded;
  const running = containers.find((container) => container.running);
  return running?.slot ?? (has('b') && !has('a') ? 'b' : (recorded ?? 'a'));
}

/** The state with the replicas of each active slot as they are; verdicts stay with their container. */
export function reconcile(state: EdgeState, containers: readonly EdgeContainer[]): EdgeState {
  const services = Object.entries(state.services).map(([name, service]) => {
    const replicas = containers
      .filter((container) => container.service === name && container.slot === service.slot)
      .toSorted((a, b) => (a.name < b.name ? -1 : 1))
      .map(({ id, name: container }): EdgeReplica => {
        const known = service.replicas.find((replica) => replica.id === id);
        if (known !== undefined) return known;
        const isLate = service.replicas.some(({ state }) => state === 'up');
        return isLate
          ? { container, id, state: 'out', reason: STARTING }
          : { container, id, state: 'up' };
      });
    return [name, { ...service, replicas }] as const;
  });
  return { ...state, services: Object.fromEntries(services) };
}

/** Makes a slot of a service the one that serves. */
export function withActive(
  state: EdgeState,
  service: string,
  { slot, port }: { readonly slot: Slot; readonly port: number | undefined },
): EdgeState {
  const known = state.services[service];
  const replicas = known?.slot === slot ? known.replicas : [];
  const next = port === undefined ? { slot, replicas } : { slot, port, replicas };
  return { ...state, services: { ...state.services, [service]: next } };
}

/** Whether it waits for somebody who puts it into service: it came late, or it was to go and stayed. */
function isHeldBack({ state, reason }: EdgeReplica): boolean {
  return reason === STARTING || state === 'draining';
}

/** Whether each of these containers, which are all that the service has, was put into service; a sick one was. */
export function areInService(
  { replicas }: EdgeService,
  containers: readonly { readonly id: string }[],
): boolean {
  const isListed = ({ id }: { readonly id: string }) => replicas.some((one) => one.id === id);
  return containers.every(isListed) && !replicas.some(isHeldBack);
}

/** Puts the replicas of a service into service that were held back: they were seen healthy. */
export function withStarted(state: EdgeState, service: string): EdgeState {
  const late = state.services[service]?.replicas.filter(isHeldBack) ?? [];
  return late.reduce(
    (changed, { container }) => withVerdict(changed, container, { state: 'up' }),
    state,
  );
}

/** Forgets the services that are not named. */
export function withOnly(state: EdgeState, services: readonly string[]): EdgeState {
  const kept = Object.entries(state.services).filter(([name]) => services.includes(name));
  return { ...state, services: Object.fromEntries(kept) };
}

/** Says of one container what it may get; without effect where it does not serve. */
export function withVerdict(
  state: EdgeState,
  container: string,
  verdict: Pick<EdgeReplica, 'state' | 'reason'>,
): EdgeState {
  const services = Object.entries(state.services).map(([name, service]) => {
    const replicas = service.replicas.map((replica): EdgeReplica => {
      if (replica.container !== container) return replica;
      const { reason: _before, ...same } = replica;
      return { ...same, ...verdict };
    });
    return [name, { ...service, replicas }] as const;
  });
  return { ...state, services: Object.fromEntries(services) };
}

/** Undefined when the text is not a state. */
export function parseEdgeState(text: string): EdgeState | undefined {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (error) {
    if (error instanceof SyntaxError) return undefined;
    throw error;
  }
  return isEdgeState(value) ? value : undefined;
}

export function edgeStateText(state: EdgeState): string {
  const services = Object.entries(state.services).sort(([a], [b]) => (a < b ? -1 : 1));
  return `${JSON.stringify({ ...state, services: Object.fromEntries(services) }, undefined, 1)}\n`;
}

type Unknown<T> = { readonly [K in keyof T]?: unknown };

function isEdgeState(value: unknown): value is EdgeState {
  const { version, generation, services } = fields<EdgeState>(value);
  return (
    version === 1 &&
    Number.isInteger(generation) &&
    typeof services === 'object' &&
    services !== null &&
    Object.values(services).every(isService)
  );
}

function isService(value: unknown): boolean {
  const { slot, port, replicas } = fields<EdgeService>(value);
  return (
    (slot === 'a' || slot === 'b') &&
    (port === undefined || Number.isInteger(port)) &&
    Array.isArray(replicas) &&
    replicas.every(isReplica)
  );
}

function isReplica(value: unknown): boolean {
  const { container, id, state } = fields<EdgeReplica>(value);
  return (
    typeof container === 'string' &&
    typeof id === 'string' &&
    (state === 'up' || state === 'draining' || state === 'out')
  );
}

function fields<T>(value: unknown): Unknown<T> {
  return typeof value === 'object' && value !== null ? (value as Unknown<T>) : {};
}
