import type { Run } from '../apply/run.ts';
import { isUp } from '../engine/container-state.ts';
import type { ContainerState } from '../engine/engine.ts';
import type { RolledService } from '../model/contribution.ts';
import { otherSlot, SLOTS, servingSlot } from '../model/edge-state.ts';
import { LABELS } from '../model/labels.ts';
import { release, retire, returnTo, slots } from './release.ts';

/**
 * After a failed apply: lets the release serve again that served before it, of containers made from `spec`.
 * @returns whether anything had to be done
 */
export async function bringBack(run: Run, rolled: RolledService, spec: string): Promise<boolean> {
  const { service } = rolled;
  const { serving, inSlot } = await slots(run, service);
  const observed = run.observed.containers.filter((one) => one.service === service);
  const before = servingSlot(run.observed.edge, service, observed);
  const isWhole = (containers: readonly ContainerState[]): boolean =>
    containers.length > 0 && containers.every(({ labels }) => labels[LABELS.spec] === spec);
  const isRunning = inSlot(serving).every(isUp);
  if (serving === before && isWhole(inSlot(serving)) && isRunning) {
    await retire(run, inSlot(otherSlot(serving)));
    return false;
  }
  const slot = [before, ...SLOTS].find((one) => isWhole(inSlot(one)));
  if (slot !== undefined) {
    await returnTo(run, rolled, slot);
    return true;
  }
  const { before: replaced } = await release(run, rolled, { migrate: false });
  await retire(run, replaced);
  return true;
}
