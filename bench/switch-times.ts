import { spawn } from 'node:child_process';
import { createInterface } from 'node:readline';
import { setTimeout as delay } from 'node:timers/promises';
import type { Machine } from '../test/integration/support/machine.ts';
import type { Load } from '../test/support/load.ts';

const LOOK_MILLISECONDS = 10;

/** How long a release that is healthy waits for its first client. */
export class SwitchTimes {
  /** Seconds, one for each switch. */
  readonly seconds: number[] = [];
  readonly #load: Load;
  readonly #stop: () => void;
  /** Milliseconds since the epoch by the engine's clock, which is this machine's too. */
  #healthyAt = 0;

  /** Listens to the engine until it is stopped. */
  constructor(machine: Machine, load: Load) {
    this.#load = load;
    const [file, ...args] = machine.ssh(
      ...['docker', 'events', '--filter', 'label=io.holdfast.service=app'],
      ...['--filter', 'event=health_status', '--format', '{{.TimeNano}} {{.Action}}'],
    );
    const events = spawn(file, args, { stdio: ['ignore', 'pipe', 'inherit'] });
    createInterface(events.stdout).on('line', (line) => {
      const [nanoseconds, ...action] = line.split(' ');
      if (action.at(-1) === 'healthy') this.#healthyAt = Number(nanoseconds) / 1e6;
    });
    this.#stop = () => events.kill();
  }

  /**
   * Does what lets another release take over.
   * @param version its first word in each answer
   */
  async of(version: string, work: () => Promise<unknown>): Promise<void> {
    this.#load.versions.clear();
    let isDone = false;
    const done = work().finally(() => {
      isDone = true;
    });
    while (!this.#load.versions.has(version) && !isDone) await delay(LOOK_MILLISECONDS);
    if (!isDone) this.seconds.push((Date.now() - this.#healthyAt) / 1000);
    await done;
  }

  stop(): void {
    this.#stop();
  }
}
