import { net } from '../builtins.ts';
import type { Clock } from '../clock.ts';
import { requestText } from '../net/http-message.ts';
import { request } from '../net/request.ts';

const TIMEOUT_SECONDS = 20;
/** Room for the list of some hundreds of containers. */
const LARGEST_ANSWER = 4 * 1024 ** 2;
const RECONNECT_MILLISECONDS = 2_000;

/**
 * The few questions that the agent has for the Docker engine, over its socket. dockerode would cost the
 * resident process 20 MB. The paths name no API version: each engine answers in its newest, and the
 * fields that are read are in all of them since 20.10.
 */
export class EngineSocket {
  readonly #path: string;

  constructor(path: string) {
    this.#path = path;
  }

  /** The answer's JSON. @throws Error with what the engine said */
  async get(path: string): Promise<unknown> {
    return JSON.parse(await this.#ask('GET', path, TIMEOUT_SECONDS));
  }

  /** @throws Error with what the engine said */
  async post(path: string, timeoutSeconds: number): Promise<void> {
    await this.#ask('POST', path, timeoutSeconds);
  }

  /**
   * Calls for every event that matches, and after each time that the connection was lost and is there again;
   * what happened in between is not told. The answer ends it.
   */
  events(filters: object, clock: Clock, onEvent: () => void): () => void {
    let isOver = false;
    let cancel: () => void = () => undefined;
    const open = (): void => {
      const url = new URL(
        `http://engine/events?filters=${encodeURIComponent(JSON.stringify(filters))}`,
      );
      const socket = net.connect({ path: this.#path }, () =>
        socket.write(requestText({ method: 'GET', url })),
      );
      // The head of the answer counts as an event: from there on nothing is missed.
      socket.on('data', onEvent);
      // `close` follows.
      socket.on('error', () => undefined);
      socket.once('close', () => {
        if (!isOver) cancel = clock.after(RECONNECT_MILLISECONDS, open);
      });
      cancel = () => socket.destroy();
    };
    open();
    return () => {
      isOver = true;
      cancel();
    };
  }

  async #ask(method: 'GET' | 'POST', path: string, timeoutSeconds: number): Promise<string> {
    const { status, body } = await request({
      url: new URL(`http://engine${path}`),
      method,
      timeoutSeconds,
      socketPath: this.#path,
      largestAnswer: LARGEST_ANSWER,
    });
    if (status >= 200 && status < 300) return body;
    throw new Error(`the engine answered ${status}: ${body.trim().slice(0, 300)}`);
  }
}
