import { up } from '../apply/compose-run.ts';
import { waitForContainers } from '../apply/health.ts';
import type { Run } from '../apply/run.ts';
import type { RolledService } from '../model/contribution.ts';
import { type Slot, slotName } from '../model/edge-state.ts';
import { slots, switchTo, takeName } from './release.ts';

/** More programs that start at once only take the processors from each other until they count as sick. */
const AT_ONCE = 6;

interface Starting {
  readonly rolled: RolledService;
  readonly slot: Slot;
}

/**
 * Starts services of which there is nothing yet, some at a time: nobody has to give way to them. Those that become
 * healthy serve, whatever becomes of the others.
 * @throws AppError of the first that does not
 */
export async function startTogether(run: Run, services: readonly RolledService[]): Promise<void> {
  for (let index = 0; index < services.length; index += AT_ONCE) {
    await startSome(run, services.slice(index, index + AT_ONCE));
  }
}

async function startSome(run: Run, services: readonly RolledService[]): Promise<void> {
  const starting = await Promise.all(
    services.map(async (rolled) => ({ rolled, slot: (await slots(run, rolled.service)).serving })),
  );
  await up(
    run,
    starting.map(({ rolled, slot }) => slotName(rolled.service, slot)),
    { recreate: false },
  );
  const outcomes = await Promise.allSettled(starting.map((one) => becomeHealthy(run, one)));
  await switchTo(
    run,
    starting.filter((_, index) => outcomes[index]?.status === 'fulfilled'),
  );
  const failed = outcomes.find((outcome) => outcome.status === 'rejected');
  if (failed !== undefined) throw failed.reason;
}

async function becomeHealthy(run: Run, { rolled, slot }: Starting): Promise<void> {
  const { service } = rolled;
  await waitForContainers(run, service, (await slots(run, service)).inSlot(slot));
  await takeName(run, rolled, slot);
}
