import type { Clock } from '../clock.ts';
import { readText } from '../files.ts';
import { type Log, reasonOf } from '../log.ts';
import { request } from './request.ts';

const TIMEOUT_SECONDS = 10;
/** Pauses before another attempt, milliseconds: a minute in all, then it is given up. */
const PAUSES = [2_000, 10_000, 45_000];
const LONGEST_REASON = 2_000;
/** What waits behind a ping that hangs; older ones would be no news. */
const LONGEST_QUEUE = 8;

export type PingKind = 'start' | 'success' | 'fail';

export interface PingContext {
  readonly clock: Clock;
  readonly log: Log;
  /** `paths.secrets`; read at each ping, so that a rotated URL counts at once. */
  readonly secrets: string;
}

/**
 * Signs of life to a healthchecks.io-style URL: `/start`, nothing, `/fail` with the reason as the body.
 * They go out one after the other for each URL, never hold up a job and never fail one.
 */
export class Pings {
  readonly #context: PingContext;
  readonly #queues = new Map<string, (() => Promise<void>)[]>();

  constructor(context: PingContext) {
    this.#context = context;
  }

  send(secretName: string, kind: PingKind, reason = ''): void {
    const queue = this.#queues.get(secretName) ?? [];
    const isIdle = queue.length === 0;
    if (queue.length >= LONGEST_QUEUE) return;
    queue.push(() => this.#deliver(secretName, kind, reason));
    this.#queues.set(secretName, queue);
    if (isIdle) void this.#drain(secretName, queue);
  }

  async #drain(secretName: string, queue: (() => Promise<void>)[]): Promise<void> {
    for (let deliver = queue[0]; deliver !== undefined; deliver = queue[0]) {
      await deliver();
      queue.shift();
    }
    this.#queues.delete(secretName);
  }

  async #deliver(secretName: string, kind: PingKind, reason: string): Promise<void> {
    let why = '';
    for (const pause of [0, ...PAUSES]) {
      if (pause > 0) await this.#sleep(pause);
      try {
        const url = this.#url(secretName, kind);
        const { status } = await request({
          url,
          method: kind === 'fail' ? 'POST' : 'GET',
          ...(kind === 'fail' ? { body: reason.slice(-LONGEST_REASON) } : {}),
          timeoutSeconds: TIMEOUT_SECONDS,
        });
        if (status >= 200 && status < 400) return;
        why = `${url.host} answered ${status}`;
        // Another attempt would get the same answer.
        if (status >= 400 && status < 500 && status !== 408 && status !== 429) break;
      } catch (error) {
        why = reasonOf(error);
      }
    }
    this.#context.log(`ping ${secretName} (${kind}) was not delivered: ${why}`);
  }

  #url(secretName: string, kind: PingKind): URL {
    const text = readText(`${this.#context.secrets}/${secretName}`)?.trim();
    if (text === undefined) throw new Error('the secret is not set');
    // The words of URL's own error would repeat the secret.
    if (!URL.canParse(text)) throw new Error('the secret holds no URL');
    const url = new URL(text);
    if (kind !== 'success') url.pathname = `${url.pathname.replace(/\/$/, '')}/${kind}`;
    return url;
  }

  #sleep(milliseconds: number): Promise<void> {
    return new Promise((resolve) => {
      this.#context.clock.after(milliseconds, resolve);
    });
  }
}
