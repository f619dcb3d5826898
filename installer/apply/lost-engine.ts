import { isEngineLost } from '../engine/lost-engine.ts';
import { AppError } from '../errors.ts';
import type { Run } from './run.ts';

/**
 * An engine that stops or restarts under an apply says nothing about what was applied: there is nothing to
 * roll back, and nothing to roll it back with. Any other failure comes back as it is.
 */
export function explainLostEngine({ host, done, plan }: Run, error: unknown): unknown {
  if (!isEngineLost(error)) return error;
  return new AppError({
    code: 'engine/unreachable',
    what: `the Docker engine on ${host.name} stopped or restarted after ${done.length} of ${plan.operations.length} operations`,
    why: 'what was done so far stands, and nothing was rolled back',
    hint: 'when `docker info` answers again (else: `service docker start`), run `holdfast apply`: it carries on where this run stopped',
    cause: error,
  });
}
