import type { ClientChannel } from 'ssh2';
import { CommandError, type CommandErrorFields } from './command-error.ts';
import { DEFAULT_TIMEOUT_SECONDS, KILL_GRACE_SECONDS } from './deadlines.ts';
import { feed } from './feed.ts';
import type { Command } from './host.ts';
import { remoteLine, remoteOutcome } from './remote-line.ts';
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
  const channel = await session.start(remoteLine(command, sudo), shownAs);
  channel.on('data', (chunk: Buffer) => output.pushStdout(chunk));
  channel.stderr.on('data', (chunk: Buffer) => output.pushStderr(chunk));
  const fed = feed(channel, command.stdin, () => channel.close());
  const [ended] = await Promise.all([endOf(channel, seconds, mayLeaveServices), fed]);

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

type End =
  | { readonly kind: 'exit'; readonly exitCode: number }
  | { readonly kind: 'signal'; readonly signal: string }
  /** The channel closed without a word on how the program ended. */
  | { readonly kind: 'cut' }
  /** The server's own time limit did not come through. */
  | { readonly kind: 'unanswered' };

function endOf(
  channel: ClientChannel,
  timeoutSeconds: number,
  mayLeaveServices: boolean,
): Promise<End> {
  return new Promise((resolve) => {
    let end: End = { kind: 'cut' };
    const giveUp = setTimeout(
      () => {
        end = { kind: 'unanswered' };
        channel.close();
        resolve(end);
      },
      (timeoutSeconds + 4 * KILL_GRACE_SECONDS) * 1000,
    );
    let silence: NodeJS.Timeout | undefined;
    channel.once('exit', (exitCode: number | null, signal?: string) => {
      end =
        exitCode === null ? { kind: 'signal', signal: signal ?? '?' } : { kind: 'exit', exitCode };
      if (!mayLeaveServices) return;
      silence = setTimeout(() => channel.close(), SILENCE_SECONDS * 1000);
      channel.on('data', () => silence?.refresh());
      channel.stderr.on('data', () => silence?.refresh());
    });
    channel.once('close', () => {
      clearTimeout(giveUp);
      clearTimeout(silence);
      resolve(end);
    });
  });
}
