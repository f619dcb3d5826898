import { LABELS } from '../../installer/model/labels.ts';
import type { EngineSocket } from './engine-socket.ts';

/** A container of a service of the product, as the engine lists it. */
export interface Replica {
  readonly id: string;
  /** Without the leading slash. */
  readonly name: string;
  readonly service: string;
  readonly isRunning: boolean;
  /** `running`, `exited` and so on. */
  readonly state: string;
  /** `none` when the container has no health command. */
  readonly health: 'starting' | 'healthy' | 'unhealthy' | 'none';
  /** Of a network that this machine is on; absent while it does not run. */
  readonly address?: string;
  readonly labels: Readonly<Record<string, string>>;
}

interface Listed {
  readonly Id: string;
  readonly Names: readonly string[];
  readonly State: string;
  /** For people: `Up 3 minutes (healthy)`. The list has health in no other place before engine 29. */
  readonly Status: string;
  readonly Labels: Readonly<Record<string, string>>;
  readonly NetworkSettings?: {
    readonly Networks?: Readonly<Record<string, { readonly IPAddress?: string }>>;
  };
}

/** All replicas of these services, by name. @throws Error when the engine does not answer */
export async function listReplicas(
  engine: Pick<EngineSocket, 'get'>,
  project: string,
  services: ReadonlySet<string>,
): Promise<Replica[]> {
  const filters = JSON.stringify({ label: [`${LABELS.project}=${project}`] });
  const listed = (await engine.get(
    `/containers/json?all=1&filters=${encodeURIComponent(filters)}`,
  )) as readonly Listed[];
  return listed
    .filter(({ Labels }) => Labels['com.docker.compose.oneoff'] !== 'True')
    .map(replicaOf)
    .filter(({ service }) => services.has(service))
    .sort((left, right) => (left.name < right.name ? -1 : 1));
}

function replicaOf({ Id, Names, State, Status, Labels, NetworkSettings }: Listed): Replica {
  const address = Object.entries(NetworkSettings?.Networks ?? {})
    .sort(([left], [right]) => (left < right ? -1 : 1))
    .map(([, { IPAddress }]) => IPAddress)
    .find((one) => one !== undefined && one !== '');
  return {
    id: Id,
    name: (Names[0] ?? Id).replace(/^\//, ''),
    service: Labels[LABELS.service] ?? Labels['com.docker.compose.service'] ?? '',
    isRunning: State === 'running',
    state: State,
    health: healthOf(Status),
    ...(address === undefined ? {} : { address }),
    labels: Labels,
  };
}

function healthOf(status: string): Replica['health'] {
  if (status.endsWith('(healthy)')) return 'healthy';
  if (status.endsWith('(unhealthy)')) return 'unhealthy';
  return status.endsWith('(health: starting)') ? 'starting' : 'none';
}
