import type { FrontDoorCheck, FrontDoorFailure } from '../model/desired.ts';
import type { ApplyRequest } from './apply.ts';
import { readGeneration } from './generation.ts';
import type { Run } from './run.ts';
import { isSickItself } from './sick.ts';

/**
 * What had a bad answer at the front door already before anything was changed, of what was asked after the last
 * complete apply too and is left alone by this one.
 */
export async function failingBefore(
  run: Run,
  { badAnswers }: Pick<ApplyRequest, 'badAnswers'>,
): Promise<readonly FrontDoorCheck[]> {
  const { desired, plan, host, paths } = run;
  if (badAnswers === undefined || plan.operations.length === 0) return [];
  const known = (await readGeneration(host, paths))?.frontDoor ?? [];
  return badAnswers(
    desired.frontDoor.filter((check) => isAmong(known, check) && !isTouched(run, check)),
  );
}

/** Whether a failure at the front door is older than this run, so that going back would mend nothing. It is told. */
export async function isExcused(
  run: Run,
  failing: readonly FrontDoorCheck[],
  check: FrontDoorCheck,
  { why, isTaken }: FrontDoorFailure,
): Promise<boolean> {
  const { service, host, path } = check;
  if (service !== undefined && (await isSickItself(run, service, why))) return true;
  if (!isTaken || !isAmong(failing, check)) return false;
  run.report({
    kind: 'warning',
    code: 'health/front-door',
    text: `https://${host}${path} had a bad answer before this began and has one yet: ${why}; holdfast logs ${service ?? 'nginx'}`,
  });
  return true;
}

function isAmong(checks: readonly FrontDoorCheck[], wanted: FrontDoorCheck): boolean {
  return checks.some(
    ({ service, host, path, expect }) =>
      service === wanted.service &&
      host === wanted.host &&
      path === wanted.path &&
      expect === wanted.expect,
  );
}

/** Whether the plan changes what answers. */
function isTouched({ plan }: Run, { service }: FrontDoorCheck): boolean {
  return plan.operations.some((operation) =>
    service === undefined
      ? operation.kind === 'switch-site'
      : operation.kind === 'compose-up' &&
        operation.services.some((one) => one.service === service),
  );
}
