import { AppError } from '../errors.ts';
import { CommandError } from '../host/command-error.ts';

/** What the docker programs say when the engine stopped under them. */
const GONE = [
  /Cannot connect to the Docker daemon/i,
  /error during connect/i,
  /docker\.sock: connect: connection refused/i,
  /read unix .*docker\.sock: .*(EOF|reset)/i,
  /^(error: |failed to .*: )?(unexpected )?EOF$/im,
];

/** Whether this failure, or what caused it, is an engine that went away while a docker program ran. */
export function isEngineLost(error: unknown): boolean {
  if (!(error instanceof AppError)) return false;
  if (error.code === 'engine/unreachable') return true;
  if (!(error instanceof CommandError)) return isEngineLost(error.cause);
  return error.argv[0] === 'docker' && GONE.some((words) => words.test(error.stderr));
}
