import { setTimeout as delay } from 'node:timers/promises';
import type { Load } from '../test/support/load.ts';

const LOOK_MILLISECONDS = 10;

/** How long releases that were healthy, all their replicas, had to wait for their first client. */
export class SwitchTimes {
  /** Seconds, one for each switch. */
  readonly seconds: number[] = [];
  readonly #load: Load;

  constructor(load: Load) {
    this.#load = load;
  }

  /**
   * Does what lets another release take over.
   * @param version its first word in each answer
   */
  async of(version: string, work: () => Promise<unknown>): Promise<void> {
    const { versions, healthyAt } = this.#load;
    versions.clear();
    for (const replica of healthyAt.keys()) {
      if (replica.startsWith(`${version} `)) healthyAt.delete(replica);
    }
    let isDone = false;
    const done = work().finally(() => {
      isDone = true;
    });
    while (!versions.has(version) && !isDone) await delay(LOOK_MILLISECONDS);
    const answeredAt = Date.now();
    await done;
    // By now each of its replicas has answered.
    const replicas = [...healthyAt].filter(([replica]) => replica.startsWith(`${version} `));
    const healthy = Math.max(...replicas.map(([, at]) => at));
    this.seconds.push((answeredAt - healthy) / 1000);
  }
}
