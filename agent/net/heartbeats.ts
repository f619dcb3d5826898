import type { AgentSettings } from '../../installer/model/agent-settings.ts';
import type { Clock } from '../clock.ts';
import type { Pings } from './pings.ts';

type Heartbeat = AgentSettings['heartbeats'][number];

/** Tells somebody outside that this machine and its agent live. */
export class Heartbeats {
  readonly #clock: Clock;
  readonly #pings: Pings;
  #cancels: (() => void)[] = [];

  constructor(clock: Clock, pings: Pings) {
    this.#clock = clock;
    this.#pings = pings;
  }

  set(heartbeats: readonly Heartbeat[]): void {
    this.stop();
    this.#cancels = heartbeats.map((heartbeat) => this.#beat(heartbeat));
  }

  stop(): void {
    for (const cancel of this.#cancels) cancel();
    this.#cancels = [];
  }

  #beat({ urlSecret, everySeconds }: Heartbeat): () => void {
    let cancel: () => void;
    const beat = (): void => {
      this.#pings.send(urlSecret, 'success');
      cancel = this.#clock.after(everySeconds * 1000, beat);
    };
    beat();
    return () => cancel();
  }
}
