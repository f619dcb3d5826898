import { isUp } from '../engine/container-state.ts';
import { edgeContainer, readEdgeState } from '../engine/edge-state.ts';
import type { ContainerState } from '../engine/engine.ts';
import { AppError } from '../errors.ts';
import type { Desired } from '../model/desired.ts';
import { type EdgeState, type Slot, servingSlot } from '../model/edge-state.ts';
import { LABELS } from '../model/labels.ts';
import type { Plan } from '../model/operation.ts';
import type { Secret } from '../model/secret.ts';
import type { Observed } from '../plan/observed.ts';
import type { ApplyContext } from './context.ts';
import type { ManifestKeeper } from './manifest.ts';
import { redact } from './redact.ts';

/** One apply on its way. */
export interface Run extends ApplyContext {
  readonly desired: Desired;
  readonly observed: Observed;
  readonly plan: Plan;
  readonly manifest: ManifestKeeper;
  readonly began: Date;
  /** As the lock and the audit log tell it, such as `holdfast deploy api ghcr.io/acme/api:2`. */
  readonly command: string;
  /** Ids of finished operations, in order. */
  readonly done: string[];
  /** Aborted when the user asks to stop: the current operation is finished first. */
  readonly interrupt?: AbortSignal;
}

/** Containers of the stack's services, without one-offs; of a rolled service, of both releases. */
export async function serviceContainers(
  { engine, project }: Pick<ApplyContext, 'engine' | 'project'>,
  services: readonly string[],
): Promise<ContainerState[]> {
  const all = await engine.containers({ [LABELS.project]: project });
  return all.filter(({ service }) => services.includes(service));
}

/** The containers of a service that serve: of a rolled one, not those of another release. */
export async function servingContainers(
  run: Pick<Run, 'engine' | 'project' | 'host' | 'paths' | 'desired'>,
  service: string,
): Promise<ContainerState[]> {
  const all = await serviceContainers(run, [service]);
  if (!run.desired.rolled.has(service)) return all;
  const slot = slotOf(await readEdgeState(run), service, all);
  return all.filter((container) => edgeContainer(container).slot === slot);
}

/** The slot of a rolled service that serves, of all its containers. */
export function slotOf(state: EdgeState, service: string, all: readonly ContainerState[]): Slot {
  const slots = all.map((one) => ({
    slot: edgeContainer(one).slot,
    running: isUp(one),
  }));
  return servingSlot(state, service, slots);
}

export function knownSecrets(run: Pick<Run, 'observed' | 'desired'>): Secret[] {
  return [...run.observed.secrets.values(), ...run.desired.newSecrets.values()];
}

/** The last lines of what a program said, without secrets. */
export function quoted(run: Pick<Run, 'observed' | 'desired'>, output: string): string {
  return redact(lastLines(output, 20), knownSecrets(run));
}

function lastLines(output: string, count: number): string {
  return output.trimEnd().split('\n').slice(-count).join('\n');
}

/** For hints: the command to give again. Without the reason that the agent tells beside its own. */
export function again({ command }: Pick<Run, 'command'>): string {
  return `run \`${command.replace(/ \(.*\)$/s, '')}\` again`;
}

/** @throws AppError `consent/interrupted` */
export function stopIfInterrupted(run: Run): void {
  if (run.interrupt?.aborted !== true) return;
  throw new AppError({
    code: 'consent/interrupted',
    what: `stopped as asked after ${run.done.length} of ${run.plan.operations.length} operations`,
    hint: `${again(run)}: it carries on where this run stopped`,
  });
}
