import type { Readable } from 'node:stream';
import { type Child, startChild } from '../host/child.ts';
import { CommandError } from '../host/command-error.ts';
import { type OpenPipe, openContainerPipe, toldEnding, unknownEnding } from './container-pipe.ts';
import type { SourceProgram } from './sources/source.ts';
import { throughChild } from './through-child.ts';

/** The output of a program. Throws after the last byte when it failed, or when that was not its last. */
export async function* outputOfProgram({
  argv,
  failure,
  onStderr,
  onEnd,
  plain,
}: SourceProgram): AsyncGenerator<Buffer> {
  const program = startChild({ argv, ...(onStderr === undefined ? {} : { onStderr }) });
  void program.exited.then(onEnd);
  program.stdin.destroy();
  const stdout = program.stdout as Readable & AsyncIterable<Buffer>;
  let told: number | undefined;
  async function* body(): AsyncGenerator<Buffer> {
    if (plain === undefined) yield* stdout;
    else told = yield* plain(stdout);
  }
  yield* outputOf([program], body(), async () => {
    const end = await program.done;
    const marked = told === undefined ? unknownEnding(end) : { ...end, exitCode: told };
    const { exitCode, stderr } = plain === undefined ? end : marked;
    if (exitCode !== 0) throw failure(exitCode, stderr);
  });
}

/**
 * The output of a program through a filter, piped by the system where it can be: on two processors the copying through
 * this process would take a third of what the dump itself takes. Throws after the last byte when one of them failed.
 */
export async function* filteredOutput(
  source: SourceProgram,
  filterArgv: readonly [string, ...string[]],
): AsyncGenerator<Buffer> {
  const { failure, plain, pipe, onStderr, onEnd } = source;
  const piped = pipe === undefined ? undefined : await openContainerPipe(pipe, onStderr);
  if (piped === undefined && plain !== undefined) {
    yield* throughChild(filterArgv, outputOfProgram(source));
    return;
  }
  const { filter, program, closed } = await startFiltered(source, filterArgv, piped);
  void program.exited.then(onEnd);
  yield* outputOf(
    [filter, program],
    filter.stdout as Readable & AsyncIterable<Buffer>,
    async () => {
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
      const { exitCode, stderr } = await (piped === undefined ? program.done : toldEnding(program));
      // To the filter the output of a program that failed looks whole.
      if (exitCode !== 0) throw failure(exitCode, stderr);
    },
  );
}

async function startFiltered(
  { argv, onStderr }: SourceProgram,
  filterArgv: readonly [string, ...string[]],
  piped: OpenPipe | undefined,
): Promise<{ readonly filter: Child; readonly program: Child; readonly closed: Promise<void> }> {
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

/** What they put out, then the verdict; ends all of them when the reader stops before. */
async function* outputOf(
  children: readonly Child[],
  body: AsyncIterable<Buffer>,
  verdict: () => Promise<void>,
): AsyncGenerator<Buffer> {
  let ended = false;
  try {
    yield* body;
    await verdict();
    ended = true;
  } finally {
    if (!ended) for (const child of children) child.kill('SIGKILL');
  }
}
