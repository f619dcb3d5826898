import { DEFAULT_TIMEOUT_SECONDS, KILL_GRACE_SECONDS } from './deadlines.ts';
import type { Command } from './host.ts';
import { quote } from './quote.ts';

/**
 * The line that a login shell turns into the command: through sudo where needed, with its time limit kept on
 * the server, so that a program ends there also when the connection does not live that long.
 */
export function remoteLine(
  { argv, env = {}, cwd, timeoutSeconds = DEFAULT_TIMEOUT_SECONDS }: Command,
  sudo: boolean,
): string {
  const variables = Object.entries(env).map(([name, value]) => `${name}=${value}`);
  return quote([
    'exec',
    ...(sudo ? ['sudo', '-n', '--'] : []),
    'timeout',
    `--kill-after=${KILL_GRACE_SECONDS}`,
    String(timeoutSeconds),
    'env',
    ...(cwd === undefined ? [] : [`--chdir=${cwd}`]),
    ...variables,
    ...argv,
  ]);
}

/** How a program ended, read from the exit code of {@link remoteLine}. */
export function remoteOutcome(
  exitCode: number,
  stderr: string,
  late: boolean,
): 'exit' | 'timeout' | 'spawn' {
  // `timeout` answers 124, or 137 when it had to kill; a program may say the same, but not so late.
  if (late && (exitCode === 124 || exitCode === 137)) return 'timeout';
  // `env` and `timeout` answer with these for what they could not start.
  if (exitCode >= 125 && exitCode <= 127 && /^(env|timeout|sudo): /.test(stderr)) return 'spawn';
  return 'exit';
}
