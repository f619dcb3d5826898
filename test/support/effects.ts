/** Stands for `kill -9` of our own process: from here on no call does anything. */
export class SimulatedKill extends Error {
  override readonly name = 'SimulatedKill';
}

/** The nth effect counts from 1. */
export interface CrashPoint {
  readonly effect: number;
  readonly when: 'before' | 'after';
}

/** Counts and records what a test run changes on its fakes, and kills it where the test says. */
export class Effects {
  /** One line for each effect, such as `write /etc/x 600 0:0` or `run docker compose …`. */
  readonly transcript: string[] = [];
  #count = 0;
  #crash: CrashPoint | undefined;
  #dead = false;
  #hook: { readonly effect: number; readonly run: () => void } | undefined;

  /** Effects since the start, the last {@link crashAt} or the last {@link revive}. */
  get count(): number {
    return this.#count;
  }

  /** Kills at the given effect, counted from now. */
  crashAt(point: CrashPoint): void {
    this.#crash = point;
    this.#count = 0;
  }

  /** Calls `run` right before the given effect, counted from now. */
  before(effect: number, run: () => void): void {
    this.#hook = { effect, run };
    this.#count = 0;
  }

  /** A new process on the same server. */
  revive(): void {
    this.#dead = false;
    this.#crash = undefined;
    this.#hook = undefined;
    this.#count = 0;
  }

  async look<T>(work: () => T | Promise<T>): Promise<T> {
    if (this.#dead) throw new SimulatedKill('the process is dead');
    return work();
  }

  async perform<T>(line: string, work: () => T | Promise<T>): Promise<T> {
    if (this.#dead) throw new SimulatedKill('the process is dead');
    this.#count += 1;
    if (this.#hook?.effect === this.#count) this.#hook.run();
    const crash = this.#crash?.effect === this.#count ? this.#crash : undefined;
    if (crash?.when === 'before') this.#die(line);
    this.transcript.push(line);
    try {
      return await work();
    } finally {
      if (crash?.when === 'after') this.#die(line);
    }
  }

  #die(line: string): never {
    this.#dead = true;
    throw new SimulatedKill(`killed at: ${line}`);
  }
}
