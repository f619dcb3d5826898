import { fs } from '../builtins.ts';
import { readTail, readText } from '../files.ts';

/** How a run ended. `lost`: it ended while no agent watched, and left no result of its own. */
export type RunResult = 'done' | 'failed' | 'timeout' | 'lost' | 'missed' | 'skipped';

/** One line of `paths.agent/history.jsonl`. Times are UTC, ISO 8601. */
export interface RunRecord {
  readonly job: string;
  readonly reason: RunReason;
  /** The time of the schedule that it belongs to; absent for a run by hand. */
  readonly slot?: string;
  readonly startedAt: string;
  readonly finishedAt: string;
  readonly result: RunResult;
  readonly exitCode?: number;
  /** Last lines of its output, for a run that failed. */
  readonly tail?: string;
}

export type RunReason = 'schedule' | 'catch-up' | 'retry' | 'by hand' | 'load';

/** The file is put aside at this size, over the one before it: two of them is all there ever is. */
const ROTATE_BYTES = 512 * 1024;

export class History {
  readonly #path: string;

  constructor(path: string) {
    this.#path = path;
    // A line that a power failure cut must not spoil the next one.
    const last = readTail(path, 1);
    if (last !== '' && last !== '\n') fs.appendFileSync(path, '\n');
  }

  add(record: RunRecord): void {
    fs.appendFileSync(this.#path, `${JSON.stringify(record)}\n`, { mode: 0o600 });
    if (fs.statSync(this.#path).size > ROTATE_BYTES) {
      fs.renameSync(this.#path, `${this.#path}.1`);
    }
  }

  /** The newest records, oldest first. */
  last(count: number): RunRecord[] {
    const lines = [`${this.#path}.1`, this.#path].flatMap((path) =>
      (readText(path) ?? '').split('\n').slice(-2 * count - 2),
    );
    return lines.flatMap(parseLine).slice(-count);
  }
}

/** A line that was cut by a power failure is left out. */
function parseLine(line: string): RunRecord[] {
  if (line === '') return [];
  try {
    return [JSON.parse(line) as RunRecord];
  } catch {
    return [];
  }
}
