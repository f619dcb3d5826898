import type { Duplex } from 'node:stream';
import { Readable } from 'node:stream';
import { setTimeout as delay } from 'node:timers/promises';
import type Dockerode from 'dockerode';
import { AppError } from '../errors.ts';
import { feed } from '../host/feed.ts';
import { TailBuffer } from '../host/tail-buffer.ts';
import type { ExecRequest, ExecStream } from './engine.ts';
import { ENGINE_LOG } from './engine-error.ts';
import { demultiplex } from './frames.ts';

const STDERR_TAIL = 16 * 1024;

/** The stream ends a moment before the engine notes the exit code; it does so within this, seconds. */
const EXIT_CODE_SECONDS = 10;

/** Starts a program in a running container, with its standard output as a stream. */
export async function startExec(
  container: Dockerode.Container,
  request: ExecRequest,
  stderrLimit = STDERR_TAIL,
): Promise<ExecStream> {
  const exec = await container.exec({
    Cmd: [...request.argv],
    AttachStdin: request.stdin !== undefined,
    AttachStdout: true,
    AttachStderr: true,
    ...(request.user === undefined ? {} : { User: request.user }),
    ...(request.env === undefined
      ? {}
      : { Env: Object.entries(request.env).map(([key, value]) => `${key}=${value}`) }),
  });
  const connection: Duplex = await exec.start({ hijack: true, stdin: request.stdin !== undefined });
  // Whoever reads it later finds the error then.
  connection.on('error', () => undefined);
  const stderr = new TailBuffer(stderrLimit);
  const settled = Promise.withResolvers<{ exitCode: number; stderr: string }>();
  // Whoever awaits `done` late, after the stream, must not find an unhandled rejection instead.
  settled.promise.catch(() => undefined);

  async function* output(): AsyncGenerator<Buffer> {
    const fed = feedProgram(connection, request.stdin);
    try {
      for await (const { output, chunk } of demultiplex(connection)) {
        if (output === 'stdout') yield chunk;
        else stderr.push(chunk);
      }
      connection.destroy();
      await fed;
      settled.resolve({ exitCode: await exitCodeOf(exec), stderr: stderr.text() });
    } catch (error) {
      connection.destroy();
      // A broken source also breaks the connection, but it is the cause.
      const cause = await fed.then(
        () => error,
        (sourceError: unknown) => sourceError,
      );
      settled.reject(cause);
      throw cause;
    }
  }
  const stdout = Readable.from(output(), { objectMode: false });
  const timer = setTimeout(() => connection.destroy(timedOut(request)), deadlineOf(request));
  stdout.once('close', () => {
    clearTimeout(timer);
    connection.destroy();
    settled.reject(abandoned(request));
  });
  return { stdout, done: settled.promise };
}

/** The longest that a timer can wait, milliseconds. */
const LONGEST_TIMER = 2 ** 31 - 1;

function deadlineOf({ timeoutSeconds }: ExecRequest): number {
  return timeoutSeconds === undefined ? LONGEST_TIMER : timeoutSeconds * 1000;
}

async function feedProgram(connection: Duplex, stdin: ExecRequest['stdin']): Promise<void> {
  if (stdin === undefined) return;
  await feed(connection, stdin, () => connection.destroy());
}

async function exitCodeOf(exec: Dockerode.Exec): Promise<number> {
  for (let waited = 0; waited < EXIT_CODE_SECONDS * 1000; waited += 20) {
    const { Running, ExitCode } = await exec.inspect();
    if (!Running && ExitCode !== null) return ExitCode;
    await delay(20);
  }
  throw new AppError({
    code: 'engine/stream-cut',
    what: 'a program in a container was cut off: its output ended, but it still runs',
    hint: `${ENGINE_LOG}, then run the same holdfast command again`,
  });
}

function abandoned({ argv }: ExecRequest): AppError {
  return new AppError({
    code: 'engine/stream-cut',
    what: `the output of \`${argv[0]}\` was not read to its end`,
    hint: 'run the same holdfast command again',
  });
}

function timedOut({ argv, timeoutSeconds }: ExecRequest): AppError {
  return new AppError({
    code: 'engine/exec-timeout',
    what: `\`${argv[0]}\` in a container did not end within ${timeoutSeconds} s`,
    hint: 'run the same holdfast command again; `holdfast doctor` tells whether the machine is overloaded',
  });
}
