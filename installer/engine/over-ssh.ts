import { Agent, type ClientRequestArgs } from 'node:http';
import type { Duplex } from 'node:stream';
import type { SshHost } from '../host/ssh.ts';
import { refusedBecause } from '../host/ssh-session.ts';
import { DockerEngine } from './docker.ts';

const SOCKET = '/var/run/docker.sock';

/** Reason of a refused channel in the SSH protocol (RFC 4254, 5.1). */
const ADMINISTRATIVELY_PROHIBITED = 1;

/** The engine of another machine, through the SSH connection that is there already. */
export function engineOverSsh(host: SshHost): DockerEngine {
  return new DockerEngine({ host: host.name, agent: new SshAgent(host) });
}

/**
 * Gives each request of the engine's client a connection to the engine's socket: forwarded by sshd, or where
 * that is forbidden or sudo is needed, through the docker program on the server.
 */
class SshAgent extends Agent {
  readonly #host: SshHost;
  #throughProgram: boolean;

  constructor(host: SshHost) {
    super();
    this.#host = host;
    this.#throughProgram = host.sudo;
  }

  override createConnection(
    _options: ClientRequestArgs,
    callback?: (error: Error | null, stream: Duplex) => void,
  ): undefined {
    this.#connect().then(
      (stream) => callback?.(null, stream),
      // Node's own types forget that there is no stream beside an error.
      (error: Error) => (callback as ((error: Error) => void) | undefined)?.(error),
    );
  }

  async #connect(): Promise<Duplex> {
    if (!this.#throughProgram) {
      try {
        return await this.#host.connectUnixSocket(SOCKET);
      } catch (error) {
        const reason = refusedBecause(error);
        if (reason === undefined) throw error;
        this.#throughProgram = reason === ADMINISTRATIVELY_PROHIBITED;
      }
    }
    return this.#host.connectProgram(['docker', 'system', 'dial-stdio']);
  }
}
