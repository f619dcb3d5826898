import { type Run, serviceContainers } from '../apply/run.ts';
import { isAtRest } from '../engine/container-state.ts';
import { updateEdgeState } from '../engine/edge-state.ts';
import { withOnly } from '../model/edge-state.ts';
import { LABELS } from '../model/labels.ts';
import { drain } from './edge-view.ts';

/** Resolves when services that nothing is routed to any more have answered what they had, so that they may be stopped. */
export async function takeLeave(run: Run, services: readonly string[]): Promise<void> {
  const all = await serviceContainers(run, services);
  const active = all.filter((one) => LABELS.slot in one.labels && !isAtRest(one));
  if (active.length === 0) return;
  await updateEdgeState(run, (state) =>
    withOnly(
      state,
      Object.keys(state.services).filter((name) => !services.includes(name)),
    ),
  );
  await drain(
    run,
    active.map(({ name }) => name),
  );
}
