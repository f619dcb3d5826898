import { posix } from 'node:path';
import type { Paths } from '../model/paths.ts';

/** Whoever asked waits as long as the command may take, seconds. */
export const REMOTE_COMMAND_SECONDS = 6 * 3600;

/** The argument vector of a command of the program that is installed on a server. */
export function programOnServer(
  { program }: Pick<Paths, 'program'>,
  ...command: readonly string[]
): [string, ...string[]] {
  return [
    posix.join(program, 'node_modules/.bin/node'),
    posix.join(program, 'dist/installer/cli/main.js'),
    ...command,
  ];
}
