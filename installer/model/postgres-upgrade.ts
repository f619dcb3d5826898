import type { LockedImage } from './lock-file.ts';

/** A cluster of Postgres: its files, and the image that reads them. */
export interface ClusterVersion {
  /** `15`. */
  readonly major: string;
  /** As the stack calls it: `postgres-data`. */
  readonly volume: string;
  readonly image: LockedImage;
}

/** The way of the data from one major version to another. */
export interface PostgresUpgrade {
  readonly from: ClusterVersion;
  readonly to: ClusterVersion;
}

/** What the last rehearsal of an upgrade found. */
export interface Rehearsal {
  readonly version: 1;
  /** UTC. */
  readonly at: string;
  readonly from: string;
  readonly to: string;
  /** Image that it was rehearsed with. */
  readonly image: string;
  /** How long the copy took: about as long as there is no database in the upgrade. */
  readonly seconds: number;
  /** Of all databases. */
  readonly bytes: number;
  /** None when it can be done. */
  readonly problems: readonly string[];
}

/** An upgrade that the config asks for. */
export interface WantedUpgrade extends PostgresUpgrade {
  /** Of all databases. */
  readonly bytes: number;
  /** Disk that is needed beside what is there, rehearsal included. */
  readonly neededBytes: number;
  readonly freeBytes: number;
  /** Of these versions; absent when there was none. */
  readonly rehearsal?: Rehearsal;
}

/**
 * How far an upgrade came. It decides which cluster counts until the lock file says the same:
 * `copying` and `returning` mean the old one, `switched` the new one, `reverting` the old one again. `done` keeps the
 * way back.
 */
export interface UpgradeJournal extends PostgresUpgrade {
  readonly version: 1;
  readonly phase: 'copying' | 'switched' | 'done' | 'returning' | 'reverting';
  /** UTC; when the copy was complete. */
  readonly switchedAt?: string;
  /** Rows that were ever written to the new cluster when it was complete; more later means that somebody wrote. */
  readonly rowsWritten?: number;
  /** On the way back: the new cluster is not removed, because nobody could tell whether it took writes. */
  readonly keepsNew?: true;
}

export function majorOf({ version }: LockedImage): string {
  return version.split('.')[0] ?? version;
}
