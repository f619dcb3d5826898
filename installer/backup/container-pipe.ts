import { randomBytes } from 'node:crypto';
import { constants } from 'node:fs';
import { type FileHandle, open } from 'node:fs/promises';
import type { Readable } from 'node:stream';
import { type Child, startChild } from '../host/child.ts';
import { type PostgresServer, postgresExec } from './psql.ts';
import type { ContainerPipe, ProgramEnd, SourceProgram } from './sources/source.ts';
import { marked } from './whole-stream.ts';

/*
 * What a program in a container puts out goes through four more programs on its way to us (the container's shim,
 * the engine twice, its client), which together cost as much as encrypting and hashing it. A named pipe in the
 * container's own /tmp, opened from here through /proc, is one copy in the kernel instead. The program runs in its
 * container all the same, and its exit code comes through the engine.
 */

/** Ends what a program said; what follows is how it ended. */
const TOLD = 'holdfast: ended with ';
const TELL = `code=$?
echo "${TOLD}$code" >&2
exit "$code"`;

/** On busy machines the engine was seen to lose what a program said, and with it that it is ready. */
const ATTEMPTS = 3;

// Fixed texts; the path and the program arrive as arguments. Open for both (3), the pipe never keeps the shell
// waiting for us; the program gets one end (4), which breaks when nobody is at the other. No answer: we are gone.
const script = (open: string, run: string): string => `mkfifo -m 600 -- "$1" || exit 1
exec 3<>"$1"
echo ready
read -r answer
exec ${open}"$1" 3>&-
rm -f -- "$1"
[ "$answer" = go ] || exit 1
shift
"$@" ${run} 4>&-
${TELL}`;
const OUT_OF_CONTAINER = script('4>', '</dev/null >&4');
const INTO_CONTAINER = script('4<', '<&4');

/** A program of Postgres' container, by the engine's client and, where the container is on this machine, by a pipe. */
export function containerProgram(
  server: PostgresServer,
  command: readonly [string, ...string[]],
  moreEnv: Readonly<Record<string, string>> = {},
): Pick<SourceProgram, 'argv' | 'pipe' | 'plain'> {
  const { argv, plain } = marked(command);
  const pipe = containerPipe(server, command, 'out', moreEnv);
  return {
    argv: dockerExec(server, [], argv, moreEnv),
    ...(pipe === undefined ? {} : { pipe }),
    plain,
  };
}

/** The program's standard output (`out`) or input (`in`) as a pipe; undefined when the container is elsewhere. */
export function containerPipe(
  server: PostgresServer,
  command: readonly [string, ...string[]],
  direction: ContainerPipe['direction'],
  moreEnv: Readonly<Record<string, string>> = {},
): ContainerPipe | undefined {
  if (server.pid === undefined) return undefined;
  const path = `/tmp/holdfast-${randomBytes(8).toString('hex')}`;
  const text = direction === 'out' ? OUT_OF_CONTAINER : INTO_CONTAINER;
  return {
    direction,
    argv: dockerExec(
      server,
      ['--interactive'],
      ['sh', '-c', text, 'sh', path, ...command],
      moreEnv,
    ),
    path: `/proc/${server.pid}/root${path}`,
  };
}

/**
 * How a program in a container ended, in its own words. The exit code of the engine's client is 0 as well when the
 * engine did not know the code yet, or closed the streams of a program that still runs.
 */
export async function toldEnding({ done }: Child): Promise<ProgramEnd> {
  const { exitCode, stderr } = await done;
  const at = stderr.lastIndexOf(TOLD);
  if (at >= 0) {
    const code = Number.parseInt(stderr.slice(at + TOLD.length), 10);
    return { exitCode: code, stderr: stderr.slice(0, at) };
  }
  return unknownEnding({ exitCode, stderr });
}

/** Of one that did not say how it ended. */
export function unknownEnding({ exitCode, stderr }: ProgramEnd): ProgramEnd {
  if (exitCode !== 0) return { exitCode, stderr };
  return {
    exitCode: LOST,
    stderr: `${stderr}the engine lost sight of it: nobody knows how it ended`,
  };
}

/** As for a program that the engine could not run. */
const LOST = 125;

/** The engine's client, which runs a program in Postgres' container. */
export function dockerExec(
  server: PostgresServer,
  options: readonly string[],
  command: readonly [string, ...string[]],
  moreEnv: Readonly<Record<string, string>> = {},
): [string, ...string[]] {
  const { argv, user, env } = postgresExec(server, command);
  const variables = Object.entries({ ...env, ...moreEnv });
  return [
    ...(['docker', 'exec', ...options, '--user', user] as const),
    ...variables.flatMap(([name, value]) => ['--env', `${name}=${value}`]),
    server.container,
    ...argv,
  ];
}

export interface OpenPipe {
  readonly program: Child;
  /** Our end; to be closed by whoever hands it on. */
  readonly end: FileHandle;
}

/**
 * Starts the program. Its {@link Child.stdout} is left to the caller to read.
 * Undefined where the pipe cannot be had (no `mkfifo`, another machine): then the program was not started.
 */
export async function openContainerPipe(
  pipe: ContainerPipe,
  onStderr?: (chunk: Buffer) => void,
): Promise<OpenPipe | undefined> {
  for (let attempt = 1; attempt <= ATTEMPTS; attempt += 1) {
    const program = startChild({
      argv: pipe.argv,
      ...(onStderr === undefined ? {} : { onStderr }),
    });
    program.stdin.on('error', () => undefined);
    const isReady = (await firstLine(program.stdout)) === 'ready';
    const end = isReady ? await openEnd(pipe) : undefined;
    program.stdin.end(end === undefined ? '' : 'go\n');
    if (end !== undefined) return { program, end };
    program.stdout.resume();
    await program.done.catch(() => undefined);
    if (isReady) return undefined;
  }
  return undefined;
}

/** It says nothing after its first line before it is answered. */
async function firstLine(stream: Readable): Promise<string> {
  let text = '';
  for await (const chunk of stream.iterator({ destroyOnReturn: false })) {
    text += (chunk as Buffer).toString('utf8');
    if (text.includes('\n')) break;
  }
  return text.trimEnd();
}

/** Whoever rules the container might put something else there: a link is not followed, and a file is left alone. */
async function openEnd({ path, direction }: ContainerPipe): Promise<FileHandle | undefined> {
  const { O_RDONLY, O_WRONLY, O_NOFOLLOW, O_NONBLOCK } = constants;
  const access = direction === 'out' ? O_RDONLY : O_WRONLY;
  let pipe: FileHandle;
  try {
    pipe = await open(path, access | O_NOFOLLOW | O_NONBLOCK);
  } catch {
    // The engine's way is left, and tells what is wrong if that fails too.
    return undefined;
  }
  if ((await pipe.stat()).isFIFO()) return pipe;
  await pipe.close();
  return undefined;
}
