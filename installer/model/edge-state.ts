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
export type Slot = 'a' | 'b';

export interface EdgeService {
  /** The set of containers that serves. */
  readonly slot: Slot;
  readonly port: number;
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

/** The state with the replicas of each active slot as they are; verdicts stay with their container. */
export function reconcile(state: EdgeState, containers: readonly EdgeContainer[]): EdgeState {
  const services = Object.entries(state.services).map(([name, service]) => {
    const replicas = containers
      .filter((container) => container.service === name && container.slot === service.slot)
      .toSorted((a, b) => (a.name < b.name ? -1 : 1))
      .map(({ id, name: container }): EdgeReplica => {
        const known = service.replicas.find((replica) => replica.id === id);
        return known ?? { container, id, state: 'up' };
      });
    return [name, { ...service, replicas }] as const;
  });
  return { ...state, services: Object.fromEntries(services) };
}

/** Makes a slot of a service the one that serves. */
export function withActive(
  state: EdgeState,
  service: string,
  { slot, port }: Pick<EdgeService, 'slot' | 'port'>,
): EdgeState {
  const known = state.services[service];
  const replicas = known?.slot === slot ? known.replicas : [];
  return { ...state, services: { ...state.services, [service]: { slot, port, replicas } } };
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
    Number.isInteger(port) &&
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
