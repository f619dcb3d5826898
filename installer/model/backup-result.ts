/**
 * What the last runs of a backup job left, at `paths.agent/results/<job>.json`.
 * The agent turns it into metrics, `status` shows it. All times are UTC, ISO 8601.
 */
export interface BackupResult {
  readonly version: 1;
  readonly job: string;
  readonly lastRun: {
    readonly startedAt: string;
    readonly finishedAt: string;
    readonly ok: boolean;
    /** Code and text of the failure; absent when ok. Hold no secret. */
    readonly code?: string;
    readonly what?: string;
  };
  /** The newest backup that was made; absent before the first. */
  readonly lastSuccess?: {
    readonly id: string;
    readonly finishedAt: string;
    /** When it was read back from the store and compared; absent when read-back is off. */
    readonly verifiedAt?: string;
    /** Stored bytes of all objects. */
    readonly bytes: number;
    /** Until its manifest lay in the store. */
    readonly storedSeconds?: number;
    /** Of the whole run, read-back included. */
    readonly seconds: number;
  };
  readonly failuresInARow: number;
}

/** What the last restore test left, at `paths.agent/results/restore-test.json`. */
export interface RestoreTestResult {
  readonly version: 1;
  readonly lastRun: {
    readonly startedAt: string;
    readonly finishedAt: string;
    readonly ok: boolean;
    readonly code?: string;
    readonly what?: string;
  };
  readonly lastSuccess?: {
    readonly backupId: string;
    readonly job: string;
    readonly finishedAt: string;
    /** From the first byte read to the last check passed: the measured recovery time. */
    readonly seconds: number;
    readonly databases: number;
    readonly tables: number;
    readonly rows: number;
  };
}

/** Files below `paths.agent` that hold the results. */
export const RESULTS_FOLDER = 'results';
export const RESTORE_TEST_RESULT = 'restore-test.json';
