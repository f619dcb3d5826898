import { waitForContainers } from '../apply/health.ts';
import type { Run } from '../apply/run.ts';
import type { RolledService } from '../model/contribution.ts';
import type { ServiceChange } from '../model/operation.ts';
import { type Replacement, release, retire, slots, takeOver } from './release.ts';
import { scaleSlot } from './scale-slot.ts';
import { startTogether } from './start-together.ts';
import { ReleaseWatch } from './watch.ts';

/** Carries out the changes of services whose releases take turns. */
export async function rollServices(run: Run, changes: readonly ServiceChange[]): Promise<void> {
  const together = changes.length > 1 ? changes.filter((one) => isPlainStart(run, one)) : [];
  await startTogether(
    run,
    together.map(({ service }) => rolledOf(run, service)),
  );
  const watch = new ReleaseWatch(run);
  const replacements: Replacement[] = [];
  try {
    for (const { service, change } of changes.filter((one) => !together.includes(one))) {
      await watch.refuseFailed();
      const rolled = rolledOf(run, service);
      if (change !== 'create' && change !== 'release') {
        await resize(run, rolled);
        continue;
      }
      const replacement = await release(run, rolled, { migrate: true });
      replacements.push(replacement);
      watch.add(replacement);
      // One at a time: the memory of the machine holds two releases of one service, not of all.
      if (changes.length > 1) await watch.retireBefore(replacement);
    }
    await watch.end();
  } catch (error) {
    await watch.leave();
    // What a watched release died of came first.
    await watch.refuseFailed();
    throw error;
  }
  for (const { before } of replacements) await retire(run, before);
}

function rolledOf(run: Run, service: string): RolledService {
  const rolled = run.desired.rolled.get(service);
  if (rolled === undefined) throw new Error(`${service} is not rolled`);
  return rolled;
}

/** Whether nothing of the service is there, and nothing has to be done before it starts. */
function isPlainStart({ desired }: Run, { service, change }: ServiceChange): boolean {
  return change === 'create' && !desired.migrations.some((one) => one.service === service);
}

/** Another number of replicas, containers that were stopped, or some that get no requests. */
async function resize(run: Run, rolled: RolledService): Promise<void> {
  const { service } = rolled;
  const { serving } = await slots(run, service);
  await scaleSlot(run, rolled, serving, run.desired.stack.services[service]?.scale ?? 1);
  await waitForContainers(run, service, (await slots(run, service)).inSlot(serving));
  await takeOver(run, rolled, serving);
}
