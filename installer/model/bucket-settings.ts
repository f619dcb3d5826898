import type { BackupStore } from './backup-settings.ts';

/** The buckets of the product as applied, rendered to `stack/agent/buckets.json`. */
export interface BucketSettings {
  readonly version: 1;
  readonly buckets: readonly WantedBucket[];
}

export type BucketPlace = Extract<BackupStore, { kind: 's3' | 'r2' }>;

/** What shall be set at the provider of a bucket. */
export interface WantedBucket {
  /** In the config. */
  readonly name: string;
  /** Where it is and by which key it is reached. */
  readonly place: BucketPlace;
  /** Another provider, where a bucket of the same name holds a copy of every object. */
  readonly copyTo?: BucketPlace;
  /** Nobody reads without a key. False leaves the provider's setting alone. */
  readonly private: boolean;
  /** False leaves the provider's setting alone: switching it off would end the protection of what is there. */
  readonly versioning: boolean;
  /** At rest, by the store. False leaves the provider's setting alone. */
  readonly encrypted: boolean;
  /** Ages in whole days; an empty one means that objects stay as they are. Absent: none of our business. */
  readonly lifecycle?: BucketLifecycle;
}

export interface BucketLifecycle {
  readonly infrequentDays?: number;
  readonly archiveDays?: number;
  readonly deleteDays?: number;
}

/** Relative to `paths.stack`. */
export const BUCKET_SETTINGS = 'agent/buckets.json';
