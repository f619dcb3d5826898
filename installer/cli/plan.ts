import { planServer } from '../apply/apply.ts';
import { EXIT_CHANGES_PENDING } from '../errors.ts';
import type { Plan } from '../model/operation.ts';
import { isBlocked, planText } from '../plan/text.ts';
import type { ParsedArguments } from './command.ts';
import type { CliContext } from './context.ts';
import { colouredPlan } from './display/plan.ts';
import { styleFor } from './display/style.ts';
import { prepare } from './prepare.ts';
import { readConfig } from './read-config.ts';

/** `holdfast plan`: what apply would do. Exit code 0 when nothing, 10 when something or when apply refuses. */
export async function plan(args: ParsedArguments, context: CliContext): Promise<number> {
  const server = await context.open(args.value('host'));
  const prepared = await prepare(context, server, {
    loaded: await readConfig(args.value('config') ?? context.paths.config),
    event: 'apply',
    upgradesPostgres: true,
  });
  const { plan: planned } = await planServer(prepared.apply, {
    render: prepared.render,
    adopt: args.flag('adopt'),
  });
  if (args.flag('json')) context.io.out(`${JSON.stringify(planJson(planned))}\n`);
  else context.io.out(colouredPlan(planText(planned), styleFor(context.io.color)));
  return planExitCode(planned);
}

/** The shape of `plan --json`, version 1. Diffs of secret files are empty. */
export function planJson(plan: Plan): object {
  const { project, operations, notices, drift } = plan;
  const changes = hasChanges(plan);
  return { version: 1, project, changes, blocked: isBlocked(plan), operations, notices, drift };
}

export function planExitCode(plan: Plan): number {
  return hasChanges(plan) ? EXIT_CHANGES_PENDING : 0;
}

/** A file that only waits for a decision is not as the config says either. */
function hasChanges(plan: Plan): boolean {
  return plan.operations.length > 0 || isBlocked(plan);
}
