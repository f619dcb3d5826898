import { type ChildProcessByStdio, spawn } from 'node:child_process';
import { PassThrough, Readable, type Writable } from 'node:stream';
import { env } from '../env.ts';
import { CommandError } from './command-error.ts';
import { TailBuffer } from './tail-buffer.ts';

/** Bytes of standard error that are kept. */
const STDERR_TAIL = 16 * 1024;

export interface ChildRequest {
  readonly argv: readonly [string, ...string[]];
  /** Added to our own environment. Never holds a secret. */
  readonly env?: Readonly<Record<string, string>>;
  readonly cwd?: string;
  /** Sees standard error as it comes. */
  readonly onStderr?: (chunk: Buffer) => void;
  /**
   * Another child whose standard input is our program's standard output: the bytes go from one to the other
   * without us, and {@link Child.stdout} is empty. That one cannot tell a program that failed from one that ended.
   */
  readonly into?: Child;
  /** An open file that the program reads as its standard input; {@link Child.stdin} then leads nowhere. */
  readonly from?: number;
  /** An open file that takes the program's standard output; {@link Child.stdout} is empty then. */
  readonly to?: number;
}

/** A program on this machine that runs beside us, in a process group of its own. */
export interface Child {
  readonly stdin: Writable;
  /**
   * Listen before anything is waited for: Node throws away what a program said that has ended while nobody did
   * (`flushStdio` in its lib/internal/child_process.js).
   */
  readonly stdout: Readable;
  /**
   * Settles when the program has ended and {@link Child.stdout} was read to its end.
   * Rejects with a CommandError (`spawn`, `signal`); another exit code than 0 is left to the caller.
   */
  readonly done: Promise<{ readonly exitCode: number; readonly stderr: string }>;
  /** Settles when the program has ended, though others may still hold its outputs open. */
  readonly exited: Promise<void>;
  /** Signals the program and everything that it started. */
  readonly kill: (signal: NodeJS.Signals) => void;
  /** Stops listening to the outputs, which a service that the program started may hold open. */
  readonly release: () => void;
}

/**
 * Starts a program without a shell. A missing one shows in {@link Child.done}.
 * @throws CommandError when the system refuses the arguments themselves, such as a list that is too long
 */
export function startChild(request: ChildRequest): Child {
  const child = spawnPiped(request);
  // Ours would keep the other program waiting for an end. Closed, not ended: that would shut down both.
  request.into?.stdin.destroy();
  const stderr = new TailBuffer(STDERR_TAIL);
  child.stderr.on('data', (chunk: Buffer) => {
    stderr.push(chunk);
    request.onStderr?.(chunk);
  });
  const kill = groupKiller(child);
  endWithUs(child, kill);
  const done = outcome(child, request.argv, stderr);
  // Whoever awaits `done` late, after the streams, must not find an unhandled rejection instead.
  done.catch(() => undefined);
  const exited = new Promise<void>((resolve) => {
    child.once('exit', () => resolve());
    child.once('error', () => resolve());
  });
  const stdout = child.stdout ?? Readable.from([]);
  const release = (): void => {
    stdout.destroy();
    child.stderr.destroy();
  };
  const stdin = child.stdin ?? new PassThrough().end();
  return { stdin, stdout, done, exited, kill, release };
}

function spawnPiped(request: ChildRequest): PipedChild {
  const [program, ...rest] = request.argv;
  try {
    return spawn(program, rest, {
      stdio: [request.from ?? 'pipe', request.to ?? request.into?.stdin ?? 'pipe', 'pipe'],
      detached: true,
      ...(request.cwd === undefined ? {} : { cwd: request.cwd }),
      ...(request.env === undefined ? {} : { env: { ...env.inherited, ...request.env } }),
    }) as PipedChild;
  } catch (cause) {
    throw spawnError(request.argv, cause as Error);
  }
}

function spawnError(argv: readonly string[], cause: Error): CommandError {
  return new CommandError({
    reason: 'spawn',
    argv,
    host: 'localhost',
    stderr: cause.message,
    cause,
  });
}

type PipedChild = ChildProcessByStdio<Writable | null, Readable | null, Readable>;

function outcome(
  child: PipedChild,
  argv: readonly string[],
  stderr: TailBuffer,
): Promise<{ exitCode: number; stderr: string }> {
  return new Promise((resolve, reject) => {
    child.once('error', (cause) => {
      if (child.pid !== undefined) return;
      child.stdout?.destroy();
      reject(spawnError(argv, cause));
    });
    child.once('close', (exitCode, signal) => {
      if (exitCode !== null) resolve({ exitCode, stderr: stderr.text() });
      else {
        reject(
          new CommandError({
            reason: 'signal',
            argv,
            host: 'localhost',
            stderr: stderr.text(),
            ...(signal === null ? {} : { signal }),
          }),
        );
      }
    });
  });
}

function groupKiller(child: PipedChild): (signal: NodeJS.Signals) => void {
  let closed = false;
  child.once('close', () => {
    closed = true;
  });
  return (signal) => {
    // The number may belong to somebody else once all of the group have ended.
    if (child.pid === undefined || closed) return;
    try {
      process.kill(-child.pid, signal);
    } catch (error) {
      // ESRCH: all of them have ended already.
      if ((error as NodeJS.ErrnoException).code !== 'ESRCH') throw error;
    }
  };
}

/** Groups of their own do not get the terminal's Ctrl-C, so our own end is passed on. */
const running = new Set<() => void>();
process.on('exit', () => {
  for (const end of running) end();
});

function endWithUs(child: PipedChild, kill: Child['kill']): void {
  const end = (): void => kill('SIGTERM');
  running.add(end);
  child.once('close', () => running.delete(end));
}
