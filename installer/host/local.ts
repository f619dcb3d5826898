import { type Child, startChild } from './child.ts';
import { CommandError, type CommandErrorFields } from './command-error.ts';
import { DEFAULT_TIMEOUT_SECONDS, KILL_GRACE_SECONDS, OUTPUT_GRACE_SECONDS } from './deadlines.ts';
import { feed } from './feed.ts';
import type { Command, CommandResult, Host } from './host.ts';
import { LocalFiles } from './local-files.ts';
import { Output } from './output.ts';

/** The machine that holdfast itself runs on. */
export class LocalHost extends LocalFiles implements Host {
  async run(command: Command): Promise<CommandResult> {
    const output = new Output(command.onLine);
    const child = startChild({
      argv: command.argv,
      ...(command.env === undefined ? {} : { env: command.env }),
      ...(command.cwd === undefined ? {} : { cwd: command.cwd }),
      onStderr: (chunk) => output.pushStderr(chunk),
    });
    child.stdout.on('data', (chunk: Buffer) => output.pushStdout(chunk));
    // A failed start destroys the stream, and `done` tells why.
    child.stdout.on('error', () => undefined);

    const deadline = new Deadline(child, command.timeoutSeconds ?? DEFAULT_TIMEOUT_SECONDS);
    const failure = (fields: Pick<CommandErrorFields, 'reason' | 'exitCode' | 'timeoutSeconds'>) =>
      new CommandError({
        argv: command.argv,
        host: this.name,
        stdout: output.stdout.text(),
        stderr: output.stderr.text(),
        ...fields,
      });
    const stop = (): void => child.kill('SIGKILL');
    const ending = child.done.catch((error: unknown) => {
      if (deadline.passed) return undefined;
      throw error;
    });
    ending.catch(() => undefined);
    try {
      await feed(child.stdin, command.stdin, stop).catch(async (error: unknown) => {
        await Promise.allSettled([ending]);
        throw error;
      });
      const ended = await ending;
      if (ended === undefined || deadline.passed) {
        throw failure({ reason: 'timeout', timeoutSeconds: deadline.seconds });
      }
      const { exitCode } = ended;
      if (!(command.okExitCodes ?? [0]).includes(exitCode)) {
        throw failure({ reason: 'exit', exitCode });
      }
      return { exitCode, stdout: output.stdout.text(), stderr: output.stderr.text() };
    } finally {
      deadline.clear();
      output.end();
    }
  }

  async close(): Promise<void> {
    // Nothing stays open between two calls.
  }
}

/** Stops the program and all that it started when its time is over. */
class Deadline {
  readonly seconds: number;
  passed = false;
  #timer: NodeJS.Timeout;
  #done = false;

  constructor(child: Child, seconds: number) {
    this.seconds = seconds;
    this.#timer = setTimeout(() => {
      this.passed = true;
      child.kill('SIGTERM');
      this.#timer = setTimeout(() => child.kill('SIGKILL'), KILL_GRACE_SECONDS * 1000);
    }, seconds * 1000);
    // A service that the program started may keep the outputs open for as long as it runs.
    void child.exited.then(() => {
      if (this.#done) return;
      clearTimeout(this.#timer);
      this.#timer = setTimeout(() => {
        if (this.passed) child.kill('SIGKILL');
        child.release();
      }, OUTPUT_GRACE_SECONDS * 1000);
    });
  }

  clear(): void {
    this.#done = true;
    clearTimeout(this.#timer);
  }
}
