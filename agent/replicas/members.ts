import type { EdgeService } from '../../installer/model/edge-state.ts';
import { LABELS } from '../../installer/model/labels.ts';
import type { Replica } from './replica-list.ts';

/** A container that belongs to the release that runs. */
export interface Member {
  readonly replica: Replica;
  /** What nginx does with it; absent where nothing is routed to the service. */
  readonly edge?: 'up' | 'out';
}

/**
 * The containers of a service that are ours to judge: those that nginx knows and does not drain. A new release
 * that is not in nginx yet and an old one that is kept stopped belong to the deploy. Without a route there is
 * only the engine to ask: the release that runs.
 */
export function membersOf(
  replicas: readonly Replica[],
  edge: EdgeService | undefined,
): readonly Member[] {
  if (edge === undefined) return runningRelease(replicas).map((replica) => ({ replica }));
  return replicas.flatMap((replica): Member[] => {
    const known = edge.replicas.find(({ id }) => id === replica.id);
    if (known === undefined || known.state === 'draining') return [];
    return [edge.port === undefined ? { replica } : { replica, edge: known.state }];
  });
}

function runningRelease(replicas: readonly Replica[]): readonly Replica[] {
  const isAlive = ({ state }: Replica): boolean => state === 'running' || state === 'restarting';
  const slots = new Set(replicas.filter(isAlive).map(slotOf));
  return slots.size === 0 ? replicas : replicas.filter((replica) => slots.has(slotOf(replica)));
}

function slotOf({ labels }: Replica): string {
  return labels[LABELS.slot] ?? 'a';
}
