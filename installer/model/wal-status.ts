import type { WriteTimes } from './wal-files.ts';

/**
 * What the last pass of `holdfast backup ship-wal` left, at `paths.agent/results/wal.json`: the agent turns it
 * into metrics and starts a base backup where one is needed. Times are UTC, ISO 8601.
 */
export interface WalStatus {
  readonly version: 1;
  /** Of the cluster whose WAL this is. */
  readonly systemIdentifier: string;
  /** It goes up with each restore to a point in time. */
  readonly timeline: number;
  /** When the server began to live on it, by its own clock; absent for the first that was seen. */
  readonly timelineSince?: string;
  readonly segmentBytes: number;
  /** When the slot was last looked at. */
  readonly checkedAt: string;
  /** Newest finished segment that lies in the store. */
  readonly shippedThrough?: string;
  /** The receiver's files when all that they held lay in the store; absent before that. */
  readonly shippedFiles?: WriteTimes;
  readonly lastShippedAt?: string;
  /** Store and folder that it went to. */
  readonly place?: string;
  /** Bytes of finished segments that wait. */
  readonly waitingBytes: number;
  /** WAL before this moment leads no further: only a base backup that began later can be rolled forward. */
  readonly baseNeededSince?: string;
  /** Newest last; the last twenty. */
  readonly gaps: readonly WalGap[];
  /** Why the last pass did not end; absent when it did. */
  readonly failure?: { readonly code: string; readonly what: string; readonly since: string };
}

/** WAL that exists nowhere any more. */
export interface WalGap {
  readonly noticedAt: string;
  /** The last segment before it; absent when it is not known. */
  readonly after?: string;
  readonly why: string;
}

export const WAL_RESULT = 'wal.json';
