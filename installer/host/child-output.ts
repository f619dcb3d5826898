import { startChild } from './child.ts';
import { CommandError } from './command-error.ts';

/**
 * What a program on this machine writes to its standard output, as it comes.
 * @throws CommandError at the end when it does not exit with 0; the program is ended when nobody reads on
 */
export async function* childOutput(
  argv: readonly [string, ...string[]],
): AsyncGenerator<Uint8Array> {
  const child = startChild({ argv });
  child.stdin.on('error', () => undefined);
  child.stdin.end();
  let ended = false;
  try {
    yield* child.stdout as AsyncIterable<Uint8Array>;
    const { exitCode, stderr } = await child.done;
    ended = true;
    if (exitCode !== 0) {
      throw new CommandError({ reason: 'exit', argv, host: 'localhost', exitCode, stderr });
    }
  } finally {
    if (!ended) child.kill('SIGTERM');
  }
}
