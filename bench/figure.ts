/** One measured line. */
export interface Figure {
  readonly what: string;
  readonly value: string;
  /** What the issue asks for. */
  readonly goal?: string;
}

/** Milliseconds of the best of several runs: what the code costs, not what the machine was busy with. */
export async function bestOf(runs: number, work: () => unknown): Promise<number> {
  let best = Number.POSITIVE_INFINITY;
  for (let run = 0; run < runs; run += 1) {
    const start = performance.now();
    await work();
    best = Math.min(best, performance.now() - start);
  }
  return best;
}
