import { once } from 'node:events';
import type { ClientChannel } from 'ssh2';

/** How the program on the other machine ended, as far as it told. */
export type RemoteEnd =
  | { readonly kind: 'exit'; readonly exitCode: number }
  | { readonly kind: 'signal'; readonly signal: string }
  /** The channel closed without a word. */
  | { readonly kind: 'cut' };

/**
 * A program on the other machine. Made in the same turn of the event loop in which its channel opens:
 * a program that is quick has ended before the next.
 */
export class RemoteProgram {
  readonly channel: ClientChannel;
  /** Settles when the channel is closed, after both outputs have ended. */
  readonly closed: Promise<RemoteEnd>;
  isClosed = false;
  #end: RemoteEnd = { kind: 'cut' };
  #onExit: (() => void) | undefined;

  constructor(channel: ClientChannel) {
    this.channel = channel;
    channel.once('exit', (exitCode: number | null, signal?: string) => {
      this.#end =
        exitCode === null ? { kind: 'signal', signal: signal ?? '?' } : { kind: 'exit', exitCode };
      this.#onExit?.();
    });
    const closed = once(channel, 'close').then(() => {
      this.isClosed = true;
    });
    // ssh2 waits with its `close` for the end of standard output only.
    this.closed = Promise.all([closed, once(channel.stderr, 'end')]).then(() => this.#end);
  }

  /** Calls back when the program has ended, at once if it has already; others may still hold its outputs open. */
  onExit(callback: () => void): void {
    if (this.#end.kind === 'cut') this.#onExit = callback;
    else callback();
  }
}
