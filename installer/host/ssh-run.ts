import { CommandError, type CommandErrorFields } from './command-error.ts';
import { DEFAULT_TIMEOUT_SECONDS, KILL_GRACE_SECONDS } from './deadlines.ts';
import { feed } from './feed.ts';
import type { Command } from './host.ts';
import { remoteLine, remoteOutcome } from './remote-line.ts';
import type { RemoteEnd, RemoteProgram } from './remote-program.ts';
import type { SshSession } from './ssh-session.ts';

/** Where the pieces of both outputs go. */
export interface RemoteOutput {
  readonly pushStdout: (chunk: Buffer) => void;
  readonly pushStderr: (chunk: Buffer) => void;
  readonly stdoutText: () => string;
  readonly stderrText: () => string;
}

export interface RemoteRequest {
  readonly command: Command;
  /** What stands in errors; the command's arguments when absent. */
  readonly shownAs?: readonly string[];
  /** For messages. */
  readonly host: string;
  readonly sudo: boolean;
  /**
   * A service that the program started may keep the outputs open for as long as it runs; with this we leave
   * once they have been silent for some seconds after the program's own end.
   */
  readonly mayLeaveServices: boolean;
}

/** Long enough for a stalled network, seconds. */
const SILENCE_SECONDS = 5;

/**
 * Runs a program on the other machine to its end and gives its exit code, whatever it is.
 * @throws CommandError `timeout`, `signal`, `spawn`, `connection`
 */
export async function runRemote(
  session: SshSession,
  { command, shownAs = command.argv, host, sudo, mayLeaveServices }: RemoteRequest,
  output: RemoteOutput,
): Promise<number> {
  const seconds = command.timeoutSeconds ?? DEFAULT_TIMEOUT_SECONDS;
  const began = performance.now();
  const isLate = (): boolean => performance.now() - began >= seconds * 1000;
  const program = await session.start(remoteLine(command, sudo), shownAs);
  const { channel } = program;
  channel.on('data', (chunk: Buffer) => output.pushStdout(chunk));
  channel.stderr.on('data', (chunk: Buffer) => output.pushStderr(chunk));
  const fed = feed(channel, command.stdin, () => channel.close());
  if (mayLeaveServices) leaveServices(program);
  const [ended] = await Promise.all([endWithin(program, seconds), fed]);

  const failure = (fields: Pick<CommandErrorFields, 'reason' | 'signal' | 'timeoutSeconds'>) =>
    new CommandError({
      argv: shownAs,
      host,
      stdout: output.stdoutText(),
      stderr: output.stderrText(),
      ...fields,
    });
  if (ended.kind === 'unanswered') throw failure({ reason: 'timeout', timeoutSeconds: seconds });
  if (ended.kind === 'cut') throw session.lost(shownAs);
  if (ended.kind === 'signal' && !(isLate() && ended.signal === 'SIGKILL')) {
    throw failure({ reason: 'signal', signal: ended.signal });
  }
  // The time limit on the server ends itself together with what does not end on SIGTERM.
  const exitCode = ended.kind === 'signal' ? 137 : ended.exitCode;
  const outcome = remoteOutcome(exitCode, output.stderrText(), isLate());
  if (outcome === 'timeout') throw failure({ reason: 'timeout', timeoutSeconds: seconds });
  if (outcome === 'spawn') throw failure({ reason: 'spawn' });
  return exitCode;
}

type End = RemoteEnd | { readonly kind: 'unanswered' };

/** The server keeps the time limit itself; this is for one that does not come through. */
async function endWithin(program: RemoteProgram, timeoutSeconds: number): Promise<End> {
  const giveUp = Promise.withResolvers<End>();
  const timer = setTimeout(
    () => {
      giveUp.resolve({ kind: 'unanswered' });
      program.channel.close();
    },
    (timeoutSeconds + 4 * KILL_GRACE_SECONDS) * 1000,
  );
  try {
    return await Promise.race([program.closed, giveUp.promise]);
  } finally {
    clearTimeout(timer);
  }
}

function leaveServices(program: RemoteProgram): void {
  const { channel, closed } = program;
  program.onExit(() => {
    const silence = setTimeout(() => channel.close(), SILENCE_SECONDS * 1000);
    channel.on('data', () => silence.refresh());
    channel.stderr.on('data', () => silence.refresh());
    void closed.then(() => clearTimeout(silence));
  });
}
