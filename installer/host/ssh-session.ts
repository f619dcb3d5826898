import type { Duplex } from 'node:stream';
import { setTimeout as delay } from 'node:timers/promises';
import type { NodeSSH } from 'node-ssh';
import type { Client } from 'ssh2';
import { CommandError } from './command-error.ts';
import { RemoteProgram } from './remote-program.ts';

/** sshd allows ten programs at a time on one connection, and counts one for a moment after its end. */
const PROGRAMS_AT_A_TIME = 6;

/** How long a server that refuses one more program is asked again, seconds: some allow only two at a time. */
const REFUSED_SECONDS = 60;
const FIRST_PAUSE_MILLISECONDS = 20;
const LONGEST_PAUSE_MILLISECONDS = 640;

/** One SSH connection: starts programs on it, a bounded number at a time, and knows when it was lost. */
export class SshSession {
  readonly #ssh: NodeSSH;
  readonly #host: string;
  readonly #waiting: (() => void)[] = [];
  #free = PROGRAMS_AT_A_TIME;
  #loss: Error | undefined;

  /** @param host for messages */
  constructor(ssh: NodeSSH, host: string) {
    this.#ssh = ssh;
    this.#host = host;
    // Without a listener a lost connection would end our process.
    ssh.connection?.on('error', (error) => {
      this.#loss = error;
    });
  }

  /**
   * Starts a program; `line` is read by the login shell of the server.
   * @throws CommandError `connection`
   */
  async start(line: string, argv: readonly string[]): Promise<RemoteProgram> {
    if (this.#free > 0) this.#free -= 1;
    else await new Promise<void>((resolve) => this.#waiting.push(resolve));
    try {
      const program = await this.#startPatiently(line, argv);
      void program.closed.then(() => this.#release());
      return program;
    } catch (error) {
      this.#release();
      throw error;
    }
  }

  async #startPatiently(line: string, argv: readonly string[]): Promise<RemoteProgram> {
    const deadline = performance.now() + REFUSED_SECONDS * 1000;
    for (let pause = FIRST_PAUSE_MILLISECONDS; ; pause *= 2) {
      try {
        return await this.#open<RemoteProgram>(argv, (client, opened) =>
          client.exec(line, (error, channel) =>
            opened(error, error === undefined ? new RemoteProgram(channel) : undefined),
          ),
        );
      } catch (error) {
        if (refusedBecause(error) === undefined || performance.now() > deadline) throw error;
      }
      await delay(Math.min(pause, LONGEST_PAUSE_MILLISECONDS));
    }
  }

  /**
   * Connects to a unix socket of the server.
   * @throws CommandError `connection`, also when the server refuses or nobody listens
   */
  async connectUnixSocket(path: string): Promise<Duplex> {
    return this.#open<Duplex>(['connect', path], (client, opened) =>
      client.openssh_forwardOutStreamLocal(path, opened),
    );
  }

  /** What a program that was cut off failed with. */
  lost(argv: readonly string[], cause?: unknown): CommandError {
    const reason = cause ?? this.#loss;
    return new CommandError({
      reason: 'connection',
      argv,
      host: this.#host,
      ...(reason instanceof Error ? { stderr: reason.message, cause: reason } : {}),
    });
  }

  close(): void {
    this.#ssh.dispose();
  }

  #open<T>(
    argv: readonly string[],
    ask: (client: Client, opened: (error: Error | undefined, result?: T) => void) => void,
  ): Promise<T> {
    return new Promise((resolve, reject) => {
      const client = this.#ssh.connection;
      if (client === null) {
        reject(this.lost(argv));
        return;
      }
      try {
        ask(client, (error, result) => {
          if (result === undefined) reject(this.lost(argv, error));
          else resolve(result);
        });
      } catch (error) {
        // ssh2 throws when the connection is already gone.
        reject(this.lost(argv, error));
      }
    });
  }

  #release(): void {
    const next = this.#waiting.shift();
    if (next === undefined) this.#free += 1;
    else next();
  }
}

/** The SSH protocol's reason (RFC 4254, 5.1) for which a server opened no channel, if that is what happened. */
export function refusedBecause(error: unknown): number | undefined {
  const cause = error instanceof CommandError ? error.cause : undefined;
  const { reason } = (cause ?? {}) as { reason?: unknown };
  return typeof reason === 'number' ? reason : undefined;
}
