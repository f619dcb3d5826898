import type { Readable } from 'node:stream';
import { type Child, startChild } from '../host/child.ts';
import { CommandError } from '../host/command-error.ts';
import { openContainerPipe } from './container-pipe.ts';
import type { ProgramEnd, SourceProgram } from './sources/source.ts';

/** The output of a program. Throws after the last byte when it failed. */
export async function* outputOfProgram({
  argv,
  failure,
  onStderr,
  ending = ownEnding,
}: SourceProgram): AsyncGenerator<Buffer> {
  const program = startChild({ argv, ...(onStderr === undefined ? {} : { onStderr }) });
  program.stdin.destroy();
  yield* outputOf([program], async () => {
    const { exitCode, stderr } = await ending(program);
    if (exitCode !== 0) throw failure(exitCode, stderr);
  });
}

async function ownEnding({ done }: Child): Promise<ProgramEnd> {
  return await done;
}

/**
 * The output of a program through a filter, piped by the system: on two processors the copying through this
 * process would take a third of what the dump itself takes. Throws after the last byte when one of them failed.
 */
export async function* filteredOutput(
  source: SourceProgram,
  filterArgv: readonly [string, ...string[]],
): AsyncGenerator<Buffer> {
  const { failure, ending = ownEnding } = source;
  const { filter, program, closed } = await startFiltered(source, filterArgv);
  yield* outputOf([filter, program], async () => {
    await closed;
    const filtered = await filter.done;
    // A filter that ended early breaks the pipe of the program, so it is the cause.
    if (filtered.exitCode !== 0) {
      throw new CommandError({
        reason: 'exit',
        argv: filterArgv,
        host: 'localhost',
        exitCode: filtered.exitCode,
        stderr: filtered.stderr,
      });
    }
    const { exitCode, stderr } = await ending(program);
    // To the filter the output of a program that failed looks whole.
    if (exitCode !== 0) throw failure(exitCode, stderr);
  });
}

async function startFiltered(
  { argv, onStderr, pipe }: SourceProgram,
  filterArgv: readonly [string, ...string[]],
): Promise<{ readonly filter: Child; readonly program: Child; readonly closed: Promise<void> }> {
  const piped = pipe === undefined ? undefined : await openContainerPipe(pipe, onStderr);
  if (piped !== undefined) {
    const { program, end } = piped;
    program.stdout.resume();
    try {
      const filter = startChild({ argv: filterArgv, from: end.fd });
      // Waited for at the end: Node throws away what a child said that has ended before somebody listens.
      const closed = end.close();
      closed.catch(() => undefined);
      return { filter, program, closed };
    } catch (error) {
      program.kill('SIGKILL');
      await end.close();
      throw error;
    }
  }
  const filter = startChild({ argv: filterArgv });
  const program = startChild({
    argv,
    into: filter,
    ...(onStderr === undefined ? {} : { onStderr }),
  });
  program.stdin.destroy();
  return { filter, program, closed: Promise.resolve() };
}

/** What the first child puts out, then the verdict; ends all of them when the reader stops before. */
async function* outputOf(
  children: readonly [Child, ...Child[]],
  verdict: () => Promise<void>,
): AsyncGenerator<Buffer> {
  let ended = false;
  try {
    yield* children[0].stdout as Readable & AsyncIterable<Buffer>;
    await verdict();
    ended = true;
  } finally {
    if (!ended) for (const child of children) child.kill('SIGKILL');
  }
}
