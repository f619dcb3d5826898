import type { LastRun } from './backup-result.ts';

/** What one service of the product did in a drill. */
export interface DrilledService {
  readonly service: string;
  /** The very image that runs now. */
  readonly image: string;
  /** What was asked: `GET :3000/health`, `port 5432`, or `its own check`. */
  readonly check: string;
  /** From its start until it was healthy. */
  readonly seconds: number;
}

/** A recovery that was rehearsed to its end. */
export interface DrillReport {
  readonly startedAt: string;
  readonly finishedAt: string;
  /** From the first byte read to the last service healthy. */
  readonly seconds: number;
  /** What came back, in its order; `from` is a backup's id, or says that there is none. */
  readonly data: readonly { readonly what: string; readonly from: string }[];
  readonly services: readonly DrilledService[];
}

/** What the last drill left, at `paths.agent/results/drill.json`. Times are UTC, ISO 8601. */
export interface DrillResult {
  readonly version: 1;
  readonly lastRun: LastRun;
  readonly lastSuccess?: DrillReport;
}

export const DRILL_RESULT = 'drill.json';
