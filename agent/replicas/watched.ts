import type { WatchedService } from '../../installer/model/agent-settings.ts';
import type { ReplicaResult } from '../../installer/model/replicas-result.ts';
import type { Member } from './members.ts';
import type { Replica } from './replica-list.ts';
import type { RestartCandidate, RestartCount } from './restart-policy.ts';
import type { Candidate } from './serving.ts';
import { knownSick, newcomer, type Outcome, type Standing, stopped } from './standing.ts';

/** One container and all that is held of it. */
export interface Watched {
  readonly id: string;
  replica: Replica;
  service: WatchedService;
  standing: Standing;
  /** What nginx does with it; absent where nothing is routed to the service. */
  edge: 'up' | 'out' | undefined;
  deep: Outcome | undefined;
  restarts: RestartCount | undefined;
  /** When it was last seen to start. Milliseconds. */
  startedAt: number | undefined;
  /** Asked every second until then: it was just started, and shall be back soon. Milliseconds. */
  quickUntil: number;
  cancel: () => void;
  cancelDeep: () => void;
}

const QUICK_MILLISECONDS = 120_000;
const nothing = (): void => undefined;

export function watchedFrom(
  { replica, edge }: Member,
  service: WatchedService,
  restarts: RestartCount | undefined,
  now: number,
): Watched {
  return {
    id: replica.id,
    replica,
    service,
    standing: edge === 'out' ? knownSick(now, 'it was sick before') : newcomer(now),
    edge,
    deep: undefined,
    restarts,
    startedAt: undefined,
    quickUntil: 0,
    cancel: nothing,
    cancelDeep: nothing,
  };
}

/** Takes in what the engine says now. Answers whether it was just started and shall be asked at once. */
export function observe(watched: Watched, { replica, edge }: Member, now: number): boolean {
  watched.replica = replica;
  watched.edge = edge;
  if (!replica.isRunning) {
    watched.standing = stopped(watched.standing, `it is ${replica.state}`, now);
    return false;
  }
  if (!watched.standing.stopped) return false;
  watched.standing = { ...watched.standing, stopped: false, why: 'it was started again' };
  watched.startedAt = now;
  watched.quickUntil = now + QUICK_MILLISECONDS;
  return true;
}

export function candidateOf({ id, standing, edge }: Watched): Candidate {
  return { id, standing, isServing: edge === 'up' };
}

export function restartCandidateOf({
  id,
  service,
  standing,
  edge,
  restarts,
  startedAt,
}: Watched): RestartCandidate {
  return { id, service: service.name, standing, isServing: edge === 'up', restarts, startedAt };
}

export function resultOf(watched: Watched): ReplicaResult {
  const { id, replica, standing, edge, deep, restarts } = watched;
  return {
    id,
    container: replica.name,
    healthy: standing.verdict === 'trusted',
    since: new Date(standing.since).toISOString(),
    why: standing.why,
    ...(edge === undefined ? {} : { serving: edge === 'up' }),
    ...(deep === undefined || deep.ok ? {} : { deepWhy: deep.why }),
    ...(restarts === undefined
      ? {}
      : {
          restarts: { count: restarts.count, lastAt: new Date(restarts.lastAt).toISOString() },
        }),
  };
}
