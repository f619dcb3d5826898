import { Agent, request } from 'node:https';
import { setTimeout as rest } from 'node:timers/promises';
import { WebSocket } from 'ws';

export interface LoadTarget {
  readonly address: string;
  readonly port: number;
  /** Name that is asked for, in the certificate too. */
  readonly host: string;
  /** Certificate of the authority that signed it. */
  readonly ca: string | Buffer;
}

/** How many clients do what; each has one connection, or one WebSocket. */
export interface LoadMix {
  /** One client for each path, one GET after the other. */
  readonly gets: readonly string[];
  /** Clients that send 5,000 bytes at a time to `/`. */
  readonly posts: number;
  /** Clients that hold a WebSocket open, and open another when it is closed. */
  readonly webSockets: number;
  /** Milliseconds that a client takes between an answer and its next request; none when left out. */
  readonly thinks?: number;
}

/**
 * A request of each kind that production knows: quick, slow, with a body, and WebSockets that stay. Connections lie idle
 * between requests, as those of people do, and what is done to the server has the processors.
 */
export const MIXED: LoadMix = {
  ...{ gets: ['/', '/', '/a', '/slow'], posts: 2, webSockets: 2 },
  thinks: 20,
};

/** Clients that keep their connections and never ask twice: whatever fails, a user would see. */
export class Load {
  /** Causes with how often each happened, and what was being done to the server at the time. */
  readonly failures = new Map<string, number>();
  /** First word of each answer: the release. */
  readonly versions = new Set<string>();
  /** Second word of each answer: the replica. */
  readonly replicas = new Set<string>();
  /** Fourth word of each answer, where there is one: who the service is told that asks. */
  readonly clients = new Set<string>();
  /** When each replica became healthy, by `release replica` and its own word, the fifth; milliseconds since the epoch. */
  readonly healthyAt = new Map<string, number>();
  requests = 0;
  /** Codes with which WebSockets were closed by the other side. */
  readonly closedSockets: number[] = [];
  /** What is being done to the server just now; stands in front of each cause. */
  phase = '';
  readonly #target: LoadTarget;
  #isOn = true;
  readonly #clients: Promise<void>[] = [];
  readonly #thinks: number;

  constructor(target: LoadTarget, { gets, posts, webSockets, thinks = 0 }: LoadMix = MIXED) {
    this.#target = target;
    this.#thinks = thinks;
    for (const path of gets) this.#clients.push(this.#client(path));
    for (let count = 0; count < posts; count += 1)
      this.#clients.push(this.#client('/', 'x'.repeat(5000)));
    for (let count = 0; count < webSockets; count += 1) this.#clients.push(this.#socket());
  }

  /** Forgets which replicas answered. */
  forgetReplicas(): void {
    this.replicas.clear();
  }

  /** All clients end what they have begun. */
  async stop(): Promise<void> {
    this.#isOn = false;
    await Promise.all(this.#clients);
  }

  async #client(path: string, body?: string): Promise<void> {
    const agent = new Agent({ keepAlive: true, maxSockets: 1, ca: this.#target.ca });
    const what = `${body === undefined ? 'GET' : 'POST'} ${path}`;
    while (this.#isOn) {
      this.requests += 1;
      try {
        const { status, text } = await this.#ask(agent, path, body);
        const [version = '', replica = '', , client, healthyAt] = text.split(' ');
        if (status === 200) {
          this.versions.add(version);
          this.replicas.add(replica);
          if (client !== undefined) this.clients.add(client);
          if (healthyAt !== undefined) {
            this.healthyAt.set(`${version} ${replica}`, Number(healthyAt));
          }
        } else this.#fail(`${what}: ${status}`);
      } catch (error) {
        this.#fail(`${what}: ${String(error)}`);
      }
      if (this.#thinks > 0) await rest(this.#thinks);
    }
    agent.destroy();
  }

  #ask(agent: Agent, path: string, body?: string): Promise<{ status: number; text: string }> {
    const { address, port, host } = this.#target;
    return new Promise((resolve, reject) => {
      const sent = request({
        agent,
        host: address,
        port,
        servername: host,
        path,
        method: body === undefined ? 'GET' : 'POST',
        headers: { host },
      });
      sent.on('error', reject).on('response', (response) => {
        let text = '';
        response.on('error', reject).on('data', (chunk: Buffer) => (text += chunk));
        response.on('end', () => resolve({ status: response.statusCode ?? 0, text }));
      });
      sent.end(body);
    });
  }

  async #socket(): Promise<void> {
    const { address, port, host, ca } = this.#target;
    while (this.#isOn) {
      const options = { ca, servername: host, headers: { host } };
      const socket = new WebSocket(`wss://${address}:${port}/live`, options);
      this.requests += 1;
      await new Promise<void>((resolve) => {
        const poll = setInterval(() => {
          if (!this.#isOn) socket.terminate();
        }, 200);
        socket.on('error', (error) => {
          if (this.#isOn) this.#fail(`WebSocket: ${error.message}`);
        });
        socket.on('close', (code) => {
          clearInterval(poll);
          if (this.#isOn) this.closedSockets.push(code);
          resolve();
        });
      });
    }
  }

  #fail(cause: string): void {
    const key = this.phase === '' ? cause : `${this.phase}: ${cause}`;
    this.failures.set(key, (this.failures.get(key) ?? 0) + 1);
  }
}
