/** Lets so many go at once; the others wait in order. */
export class Turns {
  readonly #most: number;
  readonly #waiting: (() => void)[] = [];
  #taken = 0;

  constructor(most: number) {
    this.#most = most;
  }

  /** Resolves with what gives the turn back. */
  async take(): Promise<() => void> {
    if (this.#taken >= this.#most) await new Promise<void>((go) => this.#waiting.push(go));
    this.#taken += 1;
    return () => {
      this.#taken -= 1;
      this.#waiting.shift()?.();
    };
  }
}
