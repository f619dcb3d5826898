import { readJson, replaceFile } from '../files.ts';
import type { RunResult } from './history.ts';

/** Kept over restarts, so that a counter never goes back. */
interface Counts {
  failures: number;
  /** Seconds since the epoch. */
  lastRun?: number;
  lastSeconds?: number;
  lastFailed?: boolean;
}

/** How the runs of each job went, for the metrics. */
export class RunCounts {
  readonly #path: string;
  readonly #counts: Map<string, Counts>;

  constructor(path: string) {
    this.#path = path;
    this.#counts = new Map(Object.entries(readJson<Record<string, Counts>>(path) ?? {}));
  }

  /** Times in milliseconds since the epoch. */
  ended(job: string, result: RunResult, startedAt: number, finishedAt: number): void {
    const known = this.of(job);
    this.#counts.set(job, {
      failures: known.failures + (result === 'done' ? 0 : 1),
      lastRun: finishedAt / 1_000,
      lastSeconds: Math.max(0, finishedAt - startedAt) / 1_000,
      lastFailed: result !== 'done',
    });
    replaceFile(this.#path, JSON.stringify(Object.fromEntries(this.#counts)), {
      mode: 0o600,
      durable: true,
    });
  }

  of(job: string): Readonly<Counts> {
    return this.#counts.get(job) ?? { failures: 0 };
  }
}
