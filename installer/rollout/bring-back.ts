import type { Run } from '../apply/run.ts';
import { isUp } from '../engine/container-state.ts';
import type { ContainerState } from '../engine/engine.ts';
import type { RolledService } from '../model/contribution.ts';
import { areInService, otherSlot, SLOTS, servingSlot } from '../model/edge-state.ts';
import { LABELS } from '../model/labels.ts';
import { release, retire, returnTo, slots, waitForOld } from './release.ts';
import { scaleSlot } from './scale-slot.ts';

/** A service of the last complete apply. */
export interface ServiceBefore {
  /** Digest of what its containers were made from. */
  readonly spec: string;
  readonly replicas: number;
}

/**
 * After a failed apply, with the files of before: lets as many containers of the release serve again as served
 * before it.
 * @returns whether anything had to be done
 */
export async function bringBack(
  run: Run,
  rolled: RolledService,
  { spec, replicas }: ServiceBefore,
): Promise<boolean> {
  const { service } = rolled;
  const { serving, inSlot, listed } = await slots(run, service);
  const observed = run.observed.containers.filter((one) => one.service === service);
  const before = servingSlot(run.observed.edge, service, observed);
  const isWhole = (containers: readonly ContainerState[]): boolean =>
    containers.length > 0 && containers.every(({ labels }) => labels[LABELS.spec] === spec);
  if (isWhole(inSlot(before)) && inSlot(before).length !== replicas) {
    await scaleSlot(run, rolled, before, replicas);
    await waitForOld(run, service, (await slots(run, service)).inSlot(before));
    await returnTo(run, rolled, before);
    return true;
  }
  const isRunning = inSlot(serving).every(isUp);
  const isServed =
    listed !== undefined && listed.port === rolled.port && areInService(listed, inSlot(serving));
  if (serving === before && isWhole(inSlot(serving)) && isRunning && isServed) {
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
