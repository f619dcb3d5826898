import type { Operation, ServiceChange } from '../model/operation.ts';
import { RELAY_SERVICE } from '../model/stand-in.ts';
import { settledByStart } from '../plan/reactions.ts';
import { rollServices } from '../rollout/roll-services.ts';
import { RELAY_ALONE, recreateBehindStandIn, relayOf } from '../rollout/stand-in.ts';
import { takeLeave } from '../rollout/take-leave.ts';
import { migrate, up } from './compose-run.ts';
import { waitForServices } from './health.ts';
import type { Run } from './run.ts';
import { stopAndRemove } from './stop-containers.ts';

type OperationOf<Kind extends Operation['kind']> = Extract<Operation, { kind: Kind }>;

/** Starts, creates or replaces containers and waits until they are healthy. */
export async function startServices(run: Run, operation: OperationOf<'compose-up'>): Promise<void> {
  const isRolled = ({ service }: ServiceChange): boolean => run.desired.rolled.has(service);
  const named = (...changes: ServiceChange['change'][]): string[] =>
    operation.services
      .filter((change) => !isRolled(change) && changes.includes(change.change))
      .map(({ service }) => service);
  await migrate(run, named('create', 'recreate'));
  await recreate(
    run,
    operation.services.filter((change) => !isRolled(change)),
  );
  await up(run, named('create', 'start', 'scale'), { recreate: false });
  await waitForServices(run, named('create', 'recreate', 'start', 'scale'));
  await rollServices(run, operation.services.filter(isRolled));
  const started = operation.services.filter(({ change }) => change !== 'scale');
  await run.manifest.settle(started.flatMap(({ service }) => settledByStart(service)));
}

/** Those whose ports must go on answering come first, one by one. */
async function recreate(run: Run, changes: readonly ServiceChange[]): Promise<void> {
  const recreated = changes.filter(({ change }) => change === 'recreate');
  const behind = recreated.filter(({ gap }) => gap?.standIn === true);
  for (const { service } of behind) await recreateBehindStandIn(run, service);
  const relays = behind.map(({ service }) => relayOf(run, service)?.service);
  const others = recreated.filter(
    (change) => !behind.includes(change) && !relays.includes(change.service),
  );
  const names = others.map(({ service }) => service);
  await up(
    run,
    names.filter((name) => name !== RELAY_SERVICE),
    { recreate: true },
  );
  await up(
    run,
    names.filter((name) => name === RELAY_SERVICE),
    RELAY_ALONE,
  );
}

/** Stops and removes containers of a service that is no longer wanted. Its volumes stay. */
export async function removeContainers(
  run: Run,
  { service, containers, afterwards }: OperationOf<'remove-containers'>,
): Promise<void> {
  // What moves to another section goes before anything routes elsewhere.
  if (afterwards === true) await takeLeave(run, [service]);
  await stopAndRemove(run, containers);
}
