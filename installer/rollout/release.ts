import { migrate, up } from '../apply/compose-run.ts';
import { readGeneration } from '../apply/generation.ts';
import { answersNow, checksOf, waitForContainers } from '../apply/health.ts';
import { type Run, serviceContainers, slotOf } from '../apply/run.ts';
import { stopAndRemove, stopContainers } from '../apply/stop-containers.ts';
import { isAtRest } from '../engine/container-state.ts';
import { edgeContainer, readEdgeState, updateEdgeState } from '../engine/edge-state.ts';
import type { ContainerState } from '../engine/engine.ts';
import { startContainers } from '../engine/objects.ts';
import { AppError } from '../errors.ts';
import type { HttpCheck, PortCheck, RolledService } from '../model/contribution.ts';
import {
  type EdgeService,
  otherSlot,
  type Slot,
  slotName,
  withActive,
  withStarted,
} from '../model/edge-state.ts';
import { LABELS } from '../model/labels.ts';
import { alterations } from '../plan/altered.ts';
import { drain, waitForAdoption } from './edge-view.ts';
import { takeNameAmongPeers } from './peers.ts';

/** A release that has taken over, and what it took over from. */
export interface Replacement {
  readonly rolled: RolledService;
  readonly slot: Slot;
  /** As they were when they were healthy and had served nobody. */
  readonly containers: readonly ContainerState[];
  /** Empty for the first release. */
  readonly before: readonly ContainerState[];
  /** With the port that those listen on: this release may have another one. */
  readonly rolledBefore: RolledService;
  /** As `elapsed` of the run's clock. */
  readonly switchedAt: number;
}

/**
 * Starts what the compose file says beside the release that serves, and lets it take over once it is healthy.
 * The old one goes on running, without new requests. When this fails, the old release serves as before and the
 * new one is stopped.
 */
export async function release(
  run: Run,
  rolled: RolledService,
  options: { readonly migrate: boolean },
): Promise<Replacement> {
  const { service } = rolled;
  const { serving, inSlot, listed } = await slots(run, service);
  const before = inSlot(serving);
  const rolledBefore = asListed(rolled, listed);
  const slot = before.length === 0 ? serving : otherSlot(serving);
  const isKept = await canServeAgain(run, service, inSlot(slot));
  if (!isKept) {
    if (options.migrate && !isRolledBack(run, service))
      await migrateAfterSnapshot(run, service, before);
    await stopAndRemove(run, ids(inSlot(slot)));
  }
  try {
    const kept = isKept ? await startKept(run, service, inSlot(slot)) : 0;
    if (kept < scaleOf(run, service)) {
      await up(run, [slotName(service, slot)], { recreate: false });
    }
    await waitForContainers(run, service, (await slots(run, service)).inSlot(slot));
    await takeName(run, rolled, slot);
    // As they were before the first client: nginx may send one to them, and they may die of it, before we know.
    const containers = (await slots(run, service)).inSlot(slot);
    await switchTo(run, [{ rolled, slot }]);
    return { rolled, slot, containers, before, rolledBefore, switchedAt: run.clock.elapsed() };
  } catch (error) {
    if (before.length > 0) await abandon(run, rolledBefore, { to: serving, from: slot });
    throw error;
  }
}

/** Makes a slot with healthy containers the one that serves, and waits until nginx has followed. */
export async function takeOver(run: Run, rolled: RolledService, slot: Slot): Promise<void> {
  await takeName(run, rolled, slot);
  await switchTo(run, [{ rolled, slot }]);
}

/** Gives the healthy containers of a slot the name of their service, and waits until they are healthy with it. */
export async function takeName(run: Run, rolled: RolledService, slot: Slot): Promise<void> {
  const { service } = rolled;
  const containers = (await slots(run, service)).inSlot(slot);
  if (await takeNameAmongPeers(run, rolled, containers)) {
    await waitForContainers(run, service, containers);
  }
}

/** Makes slots the ones that serve, and waits until nginx has followed. */
export async function switchTo(
  run: Run,
  services: readonly { readonly rolled: RolledService; readonly slot: Slot }[],
): Promise<void> {
  await updateEdgeState(run, (state) =>
    services.reduce(
      (now, { rolled: { service, port }, slot }) =>
        withStarted(withActive(now, service, { slot, port }), service),
      state,
    ),
  );
  for (const { rolled, slot } of services) {
    if (rolled.port === undefined) continue;
    const containers = (await slots(run, rolled.service)).inSlot(slot);
    await waitForAdoption(
      run,
      rolled.service,
      containers.map(({ name }) => name),
    );
  }
}

/**
 * Makes the release in a slot the one that serves again. Where some of it runs, that gets the requests first and is
 * asked how it is afterwards: whatever it answers, there is no better one.
 */
export async function returnTo(run: Run, rolled: RolledService, slot: Slot): Promise<void> {
  const { service } = rolled;
  const now = async () => (await slots(run, service)).inSlot(slot);
  const before = await now();
  const running = before.filter(({ status }) => status === 'running').length;
  if (running === 0) await startStopped(run, before);
  await takeNameAmongPeers(run, rolled, before);
  if (running === 0) await waitForOld(run, service, await now());
  await switchTo(run, [{ rolled, slot }]);
  await startStopped(run, await now());
  await retire(run, (await slots(run, service)).inSlot(otherSlot(slot)));
  if (running === before.length) await tellSilent(run, service, await now());
  else if (running > 0) await waitForOld(run, service, await now());
}

async function startStopped(run: Run, containers: readonly ContainerState[]): Promise<void> {
  const [first, ...others] = containers.filter(({ status }) => status !== 'running');
  if (first !== undefined) await run.host.run(startContainers([first.id, ...ids(others)]));
}

/** Of containers that were kept, as many as are wanted now. @returns how many those are */
async function startKept(
  run: Run,
  service: string,
  containers: readonly ContainerState[],
): Promise<number> {
  const inOrder = containers.toSorted((a, b) => (a.name < b.name ? -1 : 1));
  const wanted = scaleOf(run, service);
  await stopAndRemove(run, ids(inOrder.slice(wanted)));
  const kept = inOrder.slice(0, wanted);
  await startStopped(run, kept);
  return kept.length;
}

function scaleOf({ desired }: Run, service: string): number {
  return desired.stack.services[service]?.scale ?? 1;
}

/** It has migrated before it served, and the database may be beyond what its migration knows. */
function isRolledBack({ desired }: Run, service: string): boolean {
  return desired.lock.services[service]?.rolledBack === true;
}

/** Whether these containers are just what the compose file would make: then a start is enough. */
async function canServeAgain(
  run: Run,
  service: string,
  containers: readonly ContainerState[],
): Promise<boolean> {
  const definition = run.desired.stack.services[service];
  const image = definition && (await run.engine.image(definition.image));
  const isSame = (container: ContainerState): boolean =>
    container.labels[LABELS.spec] === run.desired.specs.get(service) &&
    container.imageId === image?.id &&
    definition !== undefined &&
    alterations(definition, container).length === 0;
  return containers.length > 0 && containers.every(isSame);
}

/**
 * A failed migration leaves the old release serving, and the snapshot from which its data can come back. The image
 * that serves already has migrated already: an edit of a variable must not wait for a backup.
 */
async function migrateAfterSnapshot(
  run: Run,
  service: string,
  before: readonly ContainerState[],
): Promise<void> {
  const migrates = run.desired.migrations.some((migration) => migration.service === service);
  const reference = run.desired.stack.services[service]?.image;
  const image = reference === undefined ? undefined : await run.engine.image(reference);
  const isNew = before.some(({ imageId }) => imageId !== image?.id);
  const backups = migrates && isNew ? await snapshot(run, service) : [];
  try {
    await migrate(run, [service]);
  } catch (error) {
    throw withWayBack(error, backups);
  }
}

/** The release that serves goes on with whatever the migration has left behind: that may be half of its work. */
function withWayBack(error: unknown, [backup]: readonly string[]): unknown {
  const isHalfDone = error instanceof AppError && error.code === 'health/migration-failed';
  if (!isHalfDone || backup === undefined) return error;
  const { code, what, why, hint, cause } = error;
  return new AppError({
    code,
    what,
    ...(why === undefined ? {} : { why }),
    hint: `${hint}; if the migration has left its work half done, \`holdfast restore ${backup}\` brings back the backup that was made right before it`,
    cause,
  });
}

/** @returns the ids of the backups that were made */
async function snapshot(run: Run, service: string): Promise<readonly string[]> {
  try {
    return (await run.snapshotBeforeMigration?.()) ?? [];
  } catch (error) {
    if (!(error instanceof AppError)) throw error;
    throw new AppError({
      code: 'health/snapshot-failed',
      what: `the backup before the migration of ${service} failed, so ${service} was not replaced`,
      why: error.message,
      hint: error.hint,
      cause: error,
    });
  }
}

/** Waits by the checks that it was made with; what served before is better than what does not. */
export async function waitForOld(
  run: Run,
  service: string,
  containers: readonly ContainerState[],
): Promise<void> {
  try {
    await waitForContainers(run, service, containers, await checksOfBefore(run, service));
  } catch (error) {
    if (!(error instanceof AppError) || error.code !== 'health/not-healthy') throw error;
    tellOfOld(run, error.what);
  }
}

/** Asks once: it serves already. */
async function tellSilent(
  run: Run,
  service: string,
  containers: readonly ContainerState[],
): Promise<void> {
  const checks = await checksOfBefore(run, service);
  for (const container of containers) {
    const isWell = container.health !== 'unhealthy' && (await answersNow(run, checks, container));
    if (!isWell) tellOfOld(run, `${container.name} does not answer as it should`);
  }
}

function tellOfOld(run: Run, what: string): void {
  run.report({
    kind: 'warning',
    code: 'health/not-healthy',
    text: `${what}: it serves all the same`,
  });
}

/** How the last complete apply asked: the health path may be one that only the new release knows. */
async function checksOfBefore(run: Run, service: string): Promise<(HttpCheck | PortCheck)[]> {
  const generation = await readGeneration(run.host, run.paths);
  return checksOf({ desired: generation ?? run.desired }, service);
}

/**
 * Stops containers that get no new requests once they have answered what they had, and keeps them.
 * @param isWanted whether they have to serve again meanwhile: then they are not stopped
 */
export async function retire(
  run: Run,
  containers: readonly ContainerState[],
  isWanted: () => boolean = () => false,
): Promise<void> {
  const active = containers.filter((container) => !isAtRest(container));
  if (active.length === 0) return;
  await drain(
    run,
    active.map(({ name }) => name),
    isWanted,
  );
  if (isWanted()) return;
  await stopContainers(run, ids(active));
}

async function abandon(
  run: Run,
  { service, port }: RolledService,
  { to, from }: { readonly to: Slot; readonly from: Slot },
): Promise<void> {
  await updateEdgeState(run, (state) => withActive(state, service, { slot: to, port }));
  await retire(run, (await slots(run, service)).inSlot(from));
}

/** A service with the port by which nginx finds what serves now. */
function asListed(rolled: RolledService, listed: EdgeService | undefined): RolledService {
  if (listed === undefined) return rolled;
  const { port: _next, ...same } = rolled;
  return listed.port === undefined ? same : { ...same, port: listed.port };
}

/** The slot of a service that serves, its containers by slot, and what nginx knows of it. */
export async function slots(
  run: Run,
  service: string,
): Promise<{
  readonly serving: Slot;
  readonly inSlot: (slot: Slot) => readonly ContainerState[];
  readonly listed: EdgeService | undefined;
}> {
  const all = await serviceContainers(run, [service]);
  const state = await readEdgeState(run);
  const serving = slotOf(state, service, all);
  return {
    serving,
    listed: state.services[service],
    inSlot: (slot) => all.filter((container) => edgeContainer(container).slot === slot),
  };
}

function ids(containers: readonly ContainerState[]): string[] {
  return containers.map(({ id }) => id);
}
