import { up } from '../apply/compose-run.ts';
import type { Run } from '../apply/run.ts';
import { updateEdgeState } from '../engine/edge-state.ts';
import type { ContainerState } from '../engine/engine.ts';
import type { RolledService } from '../model/contribution.ts';
import { type Slot, slotName, withVerdict } from '../model/edge-state.ts';
import { drain } from './edge-view.ts';
import { slots } from './release.ts';

/**
 * Brings a slot to as many containers as the compose file says, all of them started: those that go are drained first.
 * @param wanted what the compose file says
 */
export async function scaleSlot(
  run: Run,
  { service }: RolledService,
  slot: Slot,
  wanted: number,
): Promise<void> {
  const { inSlot } = await slots(run, service);
  const surplus = inSlot(slot).toSorted(byNumber).slice(wanted);
  for (const { name } of surplus) {
    await updateEdgeState(run, (state) =>
      withVerdict(state, name, { state: 'draining', reason: 'fewer replicas are wanted' }),
    );
  }
  await drain(
    run,
    surplus.map(({ name }) => name),
  );
  await up(run, [slotName(service, slot)], { recreate: false });
}

/** Compose takes away those with the highest numbers. */
function byNumber(a: ContainerState, b: ContainerState): number {
  const number = ({ name }: ContainerState) => Number(/\d+$/.exec(name)?.[0] ?? 0);
  return number(a) - number(b);
}
