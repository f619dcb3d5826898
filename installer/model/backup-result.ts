/** How a run ended. Times are UTC, ISO 8601. */
export interface LastRun {
  readonly startedAt: string;
  readonly finishedAt: string;
  readonly ok: boolean;
  /** Code and text of the failure; absent when ok. Hold no secret. */
  readonly code?: string;
  readonly what?: string;
}

/**
 * What the last runs of a backup job left, at `paths.agent/results/<job>.json`.
 * The agent turns it into metrics, `status` shows it. All times are UTC, ISO 8601.
 */
export interface BackupResult {
  readonly version: 1;
  readonly job: string;
  readonly lastRun: LastRun;
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
  /** Of the store at the end of the last run, however it ended. */
  readonly store?: StoreRoom;
}

/** How much of a store is in use, as far as somebody says so: no API of a bucket tells how much fits. */
export interface StoreRoom {
  /** Its name in the settings. */
  readonly name: string;
  /** Of all backups of the job, those that the last run gave up included; absent when they could not be listed. */
  readonly storedBytes?: number;
  /** Of the file system that a folder is on. */
  readonly disk?: { readonly freeBytes: number; readonly bytes: number };
}

/** That the newest point in time came back: base and WAL from the store in a throw-away cluster. */
export interface PointInTimeProof {
  /** Id of the base backup that led there. */
  readonly base: string;
  /** Newer ones that are damaged; empty when all is well. */
  readonly damagedBases: readonly string[];
  readonly finishedAt: string;
  /** From the first byte read to the last check passed: the measured recovery time. */
  readonly seconds: number;
  /** Of the last transaction that came back; absent when there was none after the base. */
  readonly lastCommit?: string;
  /**
   * Age of the newest restored heartbeat when the store was read: what a loss of the server at that moment would
   * have cost, seconds. Absent when the live server could not be asked for heartbeats.
   */
  readonly lostSeconds?: number;
  /** None of this test's heartbeats came back, so that more was lost than {@link lostSeconds} says. */
  readonly lostMore?: boolean;
  readonly databases: number;
  readonly tables: number;
  readonly rows: number;
  /** What the test was held to, in words. */
  readonly limits: string;
}

/** What the last restore test left, at `paths.agent/results/restore-test.json`. */
export interface RestoreTestResult {
  readonly version: 1;
  readonly lastRun: LastRun;
  /** The last good one of a dump; absent before, and where no job makes dumps. */
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
  /** The last good one of a point in time; absent before, and without point-in-time recovery. */
  readonly pointInTime?: PointInTimeProof;
}

/** Files below `paths.agent` that hold the results. */
export const RESULTS_FOLDER = 'results';
export const RESTORE_TEST_RESULT = 'restore-test.json';
