/** CPU use of a service's replicas at one moment. */
export interface LoadSample {
  /** Milliseconds since the epoch. */
  readonly at: number;
  /** Mean over the replicas, percent of the limit of each. */
  readonly percent: number;
}

/** The newest samples, as far back as anybody asks for. */
export class LoadWindow {
  readonly #keepMilliseconds: number;
  #samples: LoadSample[] = [];

  constructor(keepSeconds: number) {
    this.#keepMilliseconds = keepSeconds * 1_000;
  }

  add(sample: LoadSample): void {
    // The clock was set back: how long ago the others were cannot be told any more.
    if (sample.at < (this.latest()?.at ?? 0)) this.clear();
    this.#samples.push(sample);
    const oldest = sample.at - this.#keepMilliseconds;
    // One sample before the window stays: it covers its beginning.
    while (this.#samples[1] !== undefined && this.#samples[1].at <= oldest) this.#samples.shift();
  }

  /** After a change of the replicas the old load says nothing of the new. */
  clear(): void {
    this.#samples = [];
  }

  latest(): LoadSample | undefined {
    return this.#samples.at(-1);
  }

  /**
   * Mean use of each third of the last seconds, oldest first; undefined while not all of that time was seen.
   * In thirds, so that a load that comes and goes is told from one that stays.
   */
  thirds(seconds: number): readonly number[] | undefined {
    const end = this.#samples.at(-1)?.at;
    const begin = this.#samples[0]?.at;
    if (end === undefined || begin === undefined) return undefined;
    const start = end - seconds * 1_000;
    if (begin > start) return undefined;
    const third = (seconds * 1_000) / 3;
    const means = [0, 1, 2].map((index) =>
      mean(
        this.#samples
          .filter(({ at }) => at > start + index * third && at <= start + (index + 1) * third)
          .map(({ percent }) => percent),
      ),
    );
    return means.every((value) => value !== undefined) ? means : undefined;
  }
}

export function mean(values: readonly number[]): number | undefined {
  if (values.length === 0) return undefined;
  return values.reduce((sum, value) => sum + value, 0) / values.length;
}
