import type { Duplex } from 'node:stream';
import type { NodeSSH } from 'node-ssh';
import type { Client } from 'ssh2';
import { CommandError } from './command-error.ts';
import { RemoteProgram } from './remote-program.ts';

/** sshd allows ten programs at a time on one connection; two are left to others. */
const PROGRAMS_AT_A_TIME = 8;

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
      const program = await this.#open<RemoteProgram>(argv, (client, opened) =>
        client.exec(line, (error, channel) =>
          opened(error, error === undefined ? new RemoteProgram(channel) : undefined),
        ),
      );
      void program.closed.then(() => this.#release());
      return program;
    } catch (error) {
      this.#release();
      throw error;
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
