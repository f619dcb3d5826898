import { startChild } from './child.ts';
import { CommandError } from './command-error.ts';

/**
 * What a program on this machine writes to its standard output, as it comes.
 * `accept` may take another exit code than 0 for good; it gets what the program wrote to standard error.
 * @throws CommandError at the end otherwise; the program is ended when nobody reads on
 */
export async function* childOutput(
  argv: readonly [string, ...string[]],
  accept: (exitCode: number, stderr: string) => boolean = () => false,
): AsyncGenerator<Uint8Array> {
  const child = startChild({ argv });
  child.stdin.on('error', () => undefined);
  child.stdin.end();
  let ended = false;
  try {
    yield* child.stdout as AsyncIterable<Uint8Array>;
    const { exitCode, stderr } = await child.done;
    ended = true;
    if (exitCode !== 0 && !accept(exitCode, stderr)) {
      throw new CommandError({ reason: 'exit', argv, host: 'localhost', exitCode, stderr });
    }
  } finally {
    if (!ended) child.kill('SIGTERM');
  }
}
