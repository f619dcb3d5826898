import { posix } from 'node:path';
import { COMPOSE_FILE } from '../engine/compose.ts';
import { composedServices } from '../engine/composed-services.ts';
import { isUp } from '../engine/container-state.ts';
import type { ContainerState } from '../engine/engine.ts';
import { AppError } from '../errors.ts';
import type { Reaction } from '../model/contribution.ts';
import { LABELS } from '../model/labels.ts';
import { RELAY_SERVICE, type StandIn } from '../model/stand-in.ts';
import {
  type NetworkOperation,
  type NetworkOperations,
  networkOperations,
  type WantedNetworks,
} from '../plan/networks.ts';
import { reactionKey } from '../plan/reactions.ts';
import { bringBack } from '../rollout/bring-back.ts';
import { recreateBehindStandIn, retireStandIn, standInContainers } from '../rollout/stand-in.ts';
import { takeLeave } from '../rollout/take-leave.ts';
import { up } from './compose-run.ts';
import { explained } from './explained.ts';
import { type Generation, readGeneration } from './generation.ts';
import { waitForServices } from './health.ts';
import { changeNetwork } from './networks.ts';
import { isOnlyTold, reloadContainers, runOnHost } from './reactions.ts';
import { restoreFiles } from './restore-files.ts';
import type { Run } from './run.ts';
import { switchSitesBack } from './sites.ts';
import { stopAndRemove } from './stop-containers.ts';

/** Whether going back to the last complete apply helps: what we changed does not work. */
export function callsForRollback(error: unknown): error is AppError {
  return error instanceof AppError && error.code.startsWith('health/');
}

/**
 * Brings back the files and containers of the last complete apply. Volumes, secrets and what ran inside a
 * database stay as they are.
 * @returns the failure, with what was rolled back in its reason
 */
export async function rollBack(run: Run, failure: AppError): Promise<AppError> {
  const generation = await readGeneration(run.host, run.paths);
  if (generation === undefined) {
    return explained(failure, 'nothing was rolled back: no apply was complete before this one');
  }
  try {
    const restored = await restoreFiles(run, generation);
    const services = await restoreServices(run, generation);
    const sites = await switchSitesBack(run);
    await repeatReloads(run, generation, restored, services.started);
    await takeLeave(run, services.leaving.map(serviceOf));
    await stopAndRemove(run, services.leaving.map(idOf));
    for (const operation of services.networksLeft) await changeNetwork(run, operation);
    const { pending } = run.manifest.current;
    await run.manifest.update({
      pending: pending.filter(
        (key) => key.startsWith('host:') || run.observed.manifest.pending.includes(key),
      ),
    });
    return explained(failure, summary(run, restored.length, services, sites));
  } catch (error) {
    const why = error instanceof AppError ? error.message : String(error);
    return explained(failure, `rolling back failed too: ${why}`, error);
  }
}

interface RestoredServices {
  readonly started: readonly string[];
  readonly removed: readonly string[];
  /** Containers of the failed apply that nginx leads to until it is reloaded: they go once it is. */
  readonly leaving: readonly ContainerState[];
  /** What the failed apply connected and created: it goes once nothing asks through it any more. */
  readonly networksLeft: readonly NetworkOperation[];
}

async function restoreServices(
  run: Run,
  { files, specs, networks, rolled }: Generation,
): Promise<RestoredServices> {
  const containers = await run.engine.containers({ [LABELS.project]: run.project });
  const isRolled = (service: string): boolean => rolled.some((one) => one.service === service);
  // What the failed apply made in the place of one of the other kind would write to its volumes.
  const isOtherKind = ({ service, labels }: ContainerState): boolean =>
    isRolled(service) !== LABELS.slot in labels && labels[LABELS.spec] !== specs[service];
  const all = containers.filter(({ service }) => service !== '');
  const surplus = all.filter((one) => specs[one.service] === undefined || isOtherKind(one));
  const ours = all.filter((one) => !isOtherKind(one));
  const leaving = surplus.filter(
    ({ service, labels }) => specs[service] === undefined && LABELS.slot in labels,
  );
  await stopAndRemove(run, surplus.filter((one) => !leaving.includes(one)).map(idOf));
  const started = Object.keys(specs).filter((service) => {
    if (isRolled(service)) return false;
    const own = ours.filter((container) => container.service === service);
    return (
      own.length === 0 ||
      own.some((container) => container.labels[LABELS.spec] !== specs[service] || !isUp(container))
    );
  });
  const { first, last } = await networksBack(run, networks, started);
  for (const operation of first) await changeNetwork(run, operation);
  const behind = await behindStandIns(run, started, specs);
  await up(
    run,
    started.filter((service) => !behind.includes(service)),
    { recreate: true },
  );
  await waitForServices(run, started);
  await retireStandIns(run);
  const returned: string[] = [];
  const compose = files.get(posix.join(run.paths.stack, COMPOSE_FILE))?.content;
  const composed = compose === undefined ? undefined : composedServices(compose);
  for (const one of rolled) {
    const { service } = one;
    const spec = specs[service] ?? '';
    if (await bringBack(run, one, { spec, replicas: composed?.get(service)?.replicas ?? 1 })) {
      returned.push(service);
    }
  }
  return {
    started: [...started, ...returned],
    removed: [...new Set(surplus.map(serviceOf))].filter((service) => specs[service] === undefined),
    leaving,
    networksLeft: last,
  };
}

function idOf({ id }: ContainerState): string {
  return id;
}

function serviceOf({ service }: ContainerState): string {
  return service;
}

/** Brings back services whose ports go on answering meanwhile. */
async function behindStandIns(
  run: Run,
  started: readonly string[],
  specs: Generation['specs'],
): Promise<string[]> {
  // Where only one of the two has a relay, the service's own address changes with it.
  const wasRelayed = RELAY_SERVICE in specs;
  const behind = possibleStandIns(run)
    .filter(
      ({ service, relay }) => started.includes(service) && wasRelayed === (relay !== undefined),
    )
    .map(({ service }) => service);
  for (const service of behind) await recreateBehindStandIn(run, service);
  return behind;
}

/** Takes away those that the failed apply left: they answer until the services themselves are back. */
async function retireStandIns(run: Run): Promise<void> {
  for (const { service } of possibleStandIns(run)) {
    const left = await standInContainers(run, service);
    if (left.length > 0) await retireStandIn(run, service);
  }
}

function possibleStandIns({ desired }: Run): readonly StandIn[] {
  return desired.standIns.filter(({ impossible }) => impossible === undefined);
}

/** Networks that the failed apply took away are needed again by containers that stayed. */
async function networksBack(
  { engine, project }: Run,
  wanted: WantedNetworks | undefined,
  recreated: readonly string[],
): Promise<NetworkOperations> {
  if (wanted === undefined) return { first: [], last: [] };
  const ours = { [LABELS.project]: project };
  const [networks, containers] = await Promise.all([
    engine.networks(ours),
    engine.containers(ours),
  ]);
  const changes = new Map(recreated.map((service) => [service, { change: 'recreate' as const }]));
  return networkOperations(wanted, { networks, containers }, changes);
}

/** What was reloaded or restarted with the new files has to read the old ones again. */
async function repeatReloads(
  run: Run,
  generation: Generation,
  restored: readonly string[],
  started: readonly string[],
): Promise<void> {
  const reactions = restored.flatMap(
    (path) => (generation.files.get(path) ?? run.desired.files.get(path))?.onChange ?? [],
  );
  const done = new Set<string>();
  for (const reaction of reactions) {
    const key = reactionKey(reaction);
    if (done.has(key)) continue;
    done.add(key);
    if (reaction.kind === 'reload' && !started.includes(reaction.service)) {
      await reloadContainers(run, reaction.service);
    }
    // A restart that this run did not get to needs no second one.
    if (
      reaction.kind === 'restart' &&
      !started.includes(reaction.service) &&
      run.done.includes(key)
    ) {
      await up(run, [reaction.service], { recreate: true });
      await waitForServices(run, [reaction.service]);
    }
    if (reaction.kind === 'host' && run.done.includes(key)) await hostAgain(run, reaction);
  }
}

async function hostAgain(
  run: Run,
  reaction: Extract<Reaction, { readonly kind: 'host' }>,
): Promise<void> {
  try {
    await runOnHost(run, reaction);
  } catch (error) {
    if (!isOnlyTold(run, reaction.failure, error)) throw error;
  }
}

function summary(
  { desired: { migrations } }: Run,
  files: number,
  { started, removed }: RestoredServices,
  sites: readonly string[],
): string {
  const parts = [
    files === 0 ? '' : `${files} files put back`,
    started.length === 0 ? '' : `${started.join(', ')} brought back as before`,
    removed.length === 0 ? '' : `${removed.join(', ')} removed again`,
    sites.length === 0 ? '' : `${sites.join(', ')} shown as before`,
  ].filter((part) => part !== '');
  if (parts.length === 0) return 'nothing had to be rolled back';
  const data =
    migrations.length === 0
      ? 'Data was not touched'
      : 'Data stays as it is: what a migration has changed is not undone';
  return `rolled back: ${parts.join('; ')}. ${data}`;
}
