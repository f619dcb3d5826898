import type { Clock } from '../clock.ts';
import { replaceFile } from '../files.ts';
import { type Log, reasonOf } from '../log.ts';
import { type Metric, metricsText } from './text-format.ts';

export interface MetricsWriterContext {
  readonly clock: Clock;
  readonly log: Log;
  /** The text file that node-exporter reads. */
  readonly path: string;
  readonly everySeconds: () => number;
  readonly collect: () => Promise<readonly Metric[]>;
}

/** Writes the metrics at their interval. A round that fails is told, and the next one comes. */
export class MetricsWriter {
  readonly #context: MetricsWriterContext;
  #cancel: () => void = () => undefined;
  #isStopped = false;

  constructor(context: MetricsWriterContext) {
    this.#context = context;
  }

  start(): void {
    void this.#round();
  }

  stop(): void {
    this.#isStopped = true;
    this.#cancel();
  }

  async #round(): Promise<void> {
    const { clock, log, path, everySeconds, collect } = this.#context;
    try {
      const text = metricsText(await collect());
      // node-exporter reads it as another user.
      replaceFile(path, text, { mode: 0o644, durable: false });
    } catch (error) {
      log(`the metrics cannot be written: ${reasonOf(error)}`);
    }
    if (this.#isStopped) return;
    this.#cancel = clock.after(everySeconds() * 1_000, () => void this.#round());
  }
}
