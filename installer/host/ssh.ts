import type { Duplex } from 'node:stream';
import { AppError } from '../errors.ts';
import { CommandError } from './command-error.ts';
import type { Command, CommandResult, Host } from './host.ts';
import { Output } from './output.ts';
import { quote } from './quote.ts';
import { logIn, type SshLogin } from './ssh-connect.ts';
import { SshFiles } from './ssh-files.ts';
import { runRemote } from './ssh-run.ts';
import { SshSession } from './ssh-session.ts';

/** Another machine over SSH. A user other than root needs sudo without a password. */
export class SshHost extends SshFiles implements Host {
  /** Whether we act as root through sudo. */
  readonly sudo: boolean;
  readonly #session: SshSession;

  private constructor(session: SshSession, name: string, sudo: boolean) {
    super(session, name, sudo);
    this.#session = session;
    this.sudo = sudo;
  }

  /**
   * Logs in and makes sure that we may act as root.
   * @throws AppError `host/unreachable`, `host/authentication-failed`, `host/host-key-changed`, `host/no-sudo`,
   *   `host/noisy-shell`
   */
  static async connect(login: SshLogin): Promise<SshHost> {
    const { user, address } = login.target;
    const name = `${user}@${address}`;
    const session = new SshSession(await logIn(login), name);
    const asUser = new SshHost(session, name, false);
    try {
      const { stdout } = await asUser.run({ argv: ['id', '-u'], timeoutSeconds: 30 });
      if (!/^\d+\n$/.test(stdout)) throw noisyShell(name, stdout);
      if (stdout === '0\n') return asUser;
      await asUser.#checkSudo(user);
      return new SshHost(session, name, true);
    } catch (error) {
      session.close();
      throw error;
    }
  }

  async run(command: Command): Promise<CommandResult> {
    const output = new Output(command.onLine);
    const request = { command, host: this.name, sudo: this.sudo, mayLeaveServices: true };
    const exitCode = await runRemote(this.#session, request, output);
    output.end();
    const result = { exitCode, stdout: output.stdout.text(), stderr: output.stderr.text() };
    if ((command.okExitCodes ?? [0]).includes(exitCode)) return result;
    throw new CommandError({ reason: 'exit', argv: command.argv, host: this.name, ...result });
  }

  /**
   * Connects to a unix socket of the server, as the user who logged in.
   * @throws CommandError `connection`, also when the server refuses
   */
  async connectUnixSocket(path: string): Promise<Duplex> {
    return this.#session.connectUnixSocket(path);
  }

  /**
   * Starts a program whose standard input and output are one stream, without a time limit.
   * @throws CommandError `connection`, also when the program ends at once
   */
  async connectProgram(argv: readonly [string, ...string[]]): Promise<Duplex> {
    const line = quote(['exec', ...(this.sudo ? ['sudo', '-n', '--'] : []), ...argv]);
    const { channel, isClosed } = await this.#session.start(line, argv);
    if (isClosed) throw this.#session.lost(argv);
    channel.stderr.resume();
    return channel;
  }

  async close(): Promise<void> {
    this.#session.close();
  }

  async #checkSudo(user: string): Promise<void> {
    try {
      await this.run({ argv: ['sudo', '-n', 'true'], timeoutSeconds: 30 });
    } catch (error) {
      if (!(error instanceof CommandError) || error.reason === 'connection') throw error;
      throw new AppError({
        code: 'host/no-sudo',
        what: `${this.name} may not act as root`,
        why: error.stderr.trim() || error.what,
        hint: `log in as root, or on the server: echo '${user} ALL=(ALL) NOPASSWD: ALL' > /etc/sudoers.d/holdfast`,
        cause: error,
      });
    }
  }
}

/** What the login shell prints by itself would stand in every file that we read. */
function noisyShell(name: string, stdout: string): AppError {
  return new AppError({
    code: 'host/noisy-shell',
    what: `the login shell of ${name} prints text of its own`,
    why: JSON.stringify(stdout.slice(0, 200)),
    hint: 'let ~/.bashrc on the server print only in interactive shells: begin it with `[ -n "$PS1" ] || return`',
  });
}
