import { finishSwaps } from '../backup/restore/volume-swap.ts';
import { isWell } from '../engine/is-well.ts';
import { AppError } from '../errors.ts';
import type { Desired, FrontDoorCheck, FrontDoorFailure } from '../model/desired.ts';
import type { Plan } from '../model/operation.ts';
import { makePlan } from '../plan/diff.ts';
import type { Observed } from '../plan/observed.ts';
import { changeServer } from './change-server.ts';
import type { ApplyContext } from './context.ts';
import { isFinished } from './finish.ts';
import { type HeldLock, withLock } from './lock.ts';
import { planStale } from './lock-errors.ts';
import { type ObserveContext, observeDesired, observeServer } from './observe.ts';
import { waitForOrphans } from './orphans.ts';
import type { ThisProcess } from './process-identity.ts';
import { notAnswering } from './sick.ts';
import { settleUpgrade } from './upgrade/return-to-old.ts';

export interface ApplyRequest {
  readonly process: ThisProcess;
  /** For the lock and the audit log, such as `holdfast apply`. */
  readonly command: string;
  /** Seconds to wait for another holder of the lock. */
  readonly waitSeconds: number;
  readonly render: (observed: Observed) => Promise<Desired>;
  /** Shows the plan and asks. */
  readonly confirm: (plan: Plan, desired: Desired) => Promise<boolean>;
  /** Whether `confirm` waits for a person: the lock is free meanwhile. */
  readonly asksPerson?: boolean;
  /** Keeps what rendering made in memory, such as certificates; called before the first operation, may be repeated. */
  readonly keepRendered?: () => Promise<void>;
  /** Keeps the config on the server; called when everything is in force, right before it counts. */
  readonly keepConfig?: () => Promise<void>;
  /** sha256 of the config file's bytes as they are now. */
  readonly configDigest: () => Promise<string>;
  /** Asks through the front door. @throws AppError `health/…` */
  readonly verify?: (
    desired: Desired,
    isExcused: (check: FrontDoorCheck, failure: FrontDoorFailure) => Promise<boolean>,
  ) => Promise<void>;
  /** Those of these questions that nginx has a bad answer to now. */
  readonly badAnswers?: (checks: readonly FrontDoorCheck[]) => Promise<readonly FrontDoorCheck[]>;
  /** Take over, or put back, files that somebody else wrote. */
  readonly adopt?: boolean;
  readonly interrupt?: AbortSignal;
}

export interface ApplyOutcome {
  readonly result: 'unchanged' | 'declined' | 'applied';
  readonly plan: Plan;
  readonly desired: Desired;
  readonly seconds: number;
  /** Names of containers that are not healthy although nothing has to be changed about them. */
  readonly unhealthy: readonly string[];
}

export interface Planned {
  readonly observed: Observed;
  readonly desired: Desired;
  readonly plan: Plan;
}

/** Looks and plans; changes nothing. */
export async function planServer(
  context: ObserveContext,
  { render, adopt = false }: Pick<ApplyRequest, 'render' | 'adopt'>,
): Promise<Planned> {
  const server = await observeServer(context, { adopt });
  const desired = await render(server);
  const observed = await observeDesired(context, server, desired);
  return { observed, desired, plan: planFor(context, desired, observed, adopt) };
}

function planFor(
  { paths }: ObserveContext,
  desired: Desired,
  observed: Observed,
  overwriteDrift: boolean,
): Plan {
  return makePlan(desired, observed, { overwriteDrift, secretMounts: paths.secretMounts });
}

/**
 * Makes a server what its config says, or changes nothing. May be killed at any moment: running it again
 * ends in the same state as an undisturbed run.
 */
export async function apply(context: ApplyContext, request: ApplyRequest): Promise<ApplyOutcome> {
  const { host, paths, clock } = context;
  return withLock(host, paths, { ...request, clock }, (lock) =>
    applyLocked(context, request, lock),
  );
}

async function applyLocked(
  context: ApplyContext,
  request: ApplyRequest,
  lock: HeldLock,
): Promise<ApplyOutcome> {
  const start = context.clock.elapsed();
  await settle(context);
  const planned = await planServer(context, request);
  const { plan, observed, desired } = planned;
  const outcome = async (result: ApplyOutcome['result']): Promise<ApplyOutcome> => ({
    result,
    plan,
    desired,
    seconds: (context.clock.elapsed() - start) / 1000,
    unhealthy: result === 'declined' ? [] : await sickContainers(context, planned, result),
  });
  refuseBlockingDrift(plan);
  const nothingToDo = plan.operations.length === 0;
  if (nothingToDo && isFinished(planned)) return outcome('unchanged');
  if (!nothingToDo && !(await isAgreed(context, request, planned, lock))) {
    return outcome('declined');
  }
  const fresh = nothingToDo ? observed : await refuseStale(context, request, planned);
  await lock.assertHeld();
  await changeServer(context, request, { ...planned, observed: fresh });
  return outcome(nothingToDo ? 'unchanged' : 'applied');
}

/** Takes up what runs that were killed have left. */
async function settle(context: ApplyContext): Promise<void> {
  await waitForOrphans(context);
  await finishSwaps(context, context.report);
  await settleUpgrade(context);
}

async function isAgreed(
  context: ApplyContext,
  { asksPerson = false, confirm }: ApplyRequest,
  { plan, desired }: Planned,
  lock: HeldLock,
): Promise<boolean> {
  if (!asksPerson) return await confirm(plan, desired);
  if (!(await lock.letGoFor(() => confirm(plan, desired)))) return false;
  await settle(context);
  return true;
}

/** A release that does not serve is stopped for the way back: that is no sickness. */
async function sickContainers(
  context: ApplyContext,
  { desired, observed }: Planned,
  result: 'unchanged' | 'applied',
): Promise<string[]> {
  const silent = await notAnswering({ ...context, desired });
  // Whatever was changed was waited for.
  if (result === 'applied') return silent;
  const { engine } = context;
  const { containers, edge } = observed;
  const suspects = containers.filter(({ service, slot, healthy }) => {
    const isOther = desired.rolled.has(service) && edge.services[service]?.slot !== slot;
    return !healthy && !isOther;
  });
  const verdicts = await Promise.all(suspects.map(({ id }) => isWell(engine, id)));
  const sick = suspects.filter((_, index) => verdicts[index] === false).map(({ name }) => name);
  return [...new Set([...sick, ...silent])];
}

/** Nothing is shown as certain that is not so any more when the answer comes. */
async function refuseStale(
  context: ApplyContext,
  request: ApplyRequest,
  { desired, plan }: Planned,
): Promise<Observed> {
  if ((await request.configDigest()) !== desired.configDigest) {
    throw new AppError({
      code: 'config/changed-meanwhile',
      what: 'the config file was edited after this plan was made',
      why: 'nothing was changed',
      hint: 'run the same command again: it plans with what the file says now',
    });
  }
  const { adopt = false } = request;
  const server = await observeServer(context, { adopt });
  const observed = await observeDesired(context, server, desired);
  const now = planFor(context, desired, observed, adopt);
  if (JSON.stringify(now) !== JSON.stringify(plan)) {
    throw planStale(context.host);
  }
  return observed;
}

function refuseBlockingDrift({ drift }: Plan): void {
  const blocking = drift.filter(({ blocks }) => blocks);
  if (blocking.length === 0) return;
  throw new AppError({
    code: 'drift/files-changed',
    what: 'somebody else changed files that holdfast wants to write',
    why: blocking.map(({ subject, text }) => `${subject} ${text}`).join('\n'),
    hint: 'move the change into config.yaml and put the file back, or replace it with `holdfast apply --adopt` (a copy is kept)',
    details: blocking,
  });
}
