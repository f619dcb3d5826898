import type { Agent } from 'node:http';
import { setTimeout as delay } from 'node:timers/promises';
import type Docker from 'dockerode';
import type { DockerOptions } from 'dockerode';
import { Dockerode } from './dockerode.ts';
import { engineError, messageOf, statusOf, unreachable } from './engine-error.ts';
import { negotiate } from './negotiate.ts';

export interface EngineConnection {
  /** For messages: the {@link import('../host/host.ts').Host.name}. */
  readonly host?: string;
  /** Socket of the engine on this machine; the docker program's own default when absent. */
  readonly socketPath?: string;
  /** Makes the connections instead, to the engine of another machine. */
  readonly agent?: Agent;
  /** How long a look may take, seconds, 60 when absent: an engine that hangs must not hang us. */
  readonly lookSeconds?: number;
}

/** The engine's HTTP API. */
export class EngineClient {
  readonly #docker: Docker;
  readonly #host: string;
  readonly #agent: Agent | undefined;
  readonly #lookSeconds: number;
  #negotiated: Promise<void> | undefined;

  constructor(connection: EngineConnection) {
    this.#host = connection.host ?? 'localhost';
    this.#agent = connection.agent;
    this.#lookSeconds = connection.lookSeconds ?? 60;
    this.#docker = new Dockerode(dockerOptions(connection));
  }

  close(): void {
    this.#agent?.destroy();
  }

  /** Every call: at a negotiated version, within a deadline, with errors that say what to do. */
  async look<T>(action: string, work: (docker: Docker) => Promise<T>): Promise<T> {
    const stop = new AbortController();
    const seconds = this.#lookSeconds;
    const hanging = delay(seconds * 1000, undefined, { signal: stop.signal }).then(() => {
      throw unreachable(this.#host, `it did not ${action} within ${seconds} s`);
    });
    try {
      return await Promise.race([this.#negotiatedLook(work), hanging]);
    } catch (error) {
      throw this.explained(action, error);
    } finally {
      hanging.catch(() => undefined);
      stop.abort();
    }
  }

  /** A failure of the engine as something that the user can act on. */
  explained(action: string, error: unknown): unknown {
    return engineError(this.#host, action, error);
  }

  async #negotiatedLook<T>(work: (docker: Docker) => Promise<T>): Promise<T> {
    await this.#negotiate();
    try {
      return await work(this.#docker);
    } catch (error) {
      // The engine was replaced by another version while we were running.
      if (!(statusOf(error) === 400 && /client version/.test(messageOf(error)))) throw error;
      this.#negotiated = undefined;
      await this.#negotiate();
      return work(this.#docker);
    }
  }

  async #negotiate(): Promise<void> {
    this.#negotiated ??= negotiate(this.#docker);
    try {
      await this.#negotiated;
    } catch (error) {
      this.#negotiated = undefined;
      throw error;
    }
  }
}

function dockerOptions({
  socketPath,
  agent,
}: EngineConnection): DockerOptions & { readonly agent?: Agent } {
  // The host name is never looked up: the agent alone decides where a connection goes.
  if (agent !== undefined) return { agent, protocol: 'http', host: 'engine', port: 80 };
  return socketPath === undefined ? {} : { socketPath };
}
