/** What `update --check` found last, at `paths.agent/results/updates.json`. */
export interface UpdatesResult {
  readonly version: 1;
  /** UTC, ISO 8601. */
  readonly checkedAt: string;
  readonly pending: readonly PendingUpdate[];
}

export interface PendingUpdate {
  /** Platform image or service. */
  readonly name: string;
  readonly current: string;
  readonly available: string;
  /** What is newer, such as `libc6 2.41-12 to 2.41-13`, or a moved tag. */
  readonly changes: readonly string[];
}

/** File below the results folder. */
export const UPDATES_RESULT = 'updates.json';
