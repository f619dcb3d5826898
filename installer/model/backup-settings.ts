/** Something that holds data and how it is read. */
export type BackupSource =
  | { readonly kind: 'postgres'; readonly databases: readonly string[] }
  | { readonly kind: 'redis' }
  | {
      readonly kind: 'volume';
      readonly name: string;
      readonly volume: string;
      readonly service: string;
    };

export type BackupStore =
  | { readonly kind: 'directory'; readonly name: string; readonly path: string }
  | {
      readonly kind: 's3' | 'r2';
      readonly name: string;
      readonly endpoint: string;
      readonly region: string;
      readonly bucket: string;
      /** Path of a CA bundle for the endpoint; the system's when absent. */
      readonly caFile?: string;
      readonly accessKeyIdSecret: string;
      readonly secretAccessKeySecret: string;
      readonly storageClass?: string;
    };

/** Seconds to keep, or counts by age class. Absent means no limit of that kind. */
export interface Retention {
  readonly keepSeconds?: number;
  readonly daily?: number;
  readonly weekly?: number;
  readonly monthly?: number;
}

export interface BackupJob {
  readonly name: string;
  readonly source: BackupSource;
  readonly cron: string;
  readonly store: string;
  readonly keepRemote: Retention;
  /** Copy kept under `paths.backups` besides the store, seconds; none when absent. */
  readonly keepLocalSeconds?: number;
  /** Name of the secret that holds the ping URL. */
  readonly pingSecret?: string;
}

/**
 * The applied backup settings, rendered to `stack/agent/backup.json`: what `backup` and `restore` read,
 * so that a config that is being edited changes nothing before `apply`.
 */
export interface BackupSettings {
  readonly version: 1;
  readonly project: string;
  /** Prepended to every key in a store, without slashes at its ends. */
  readonly prefix: string;
  readonly timezone: string;
  readonly stores: readonly BackupStore[];
  readonly jobs: readonly BackupJob[];
  /** age recipients of the user; the restore-test recipient is added on this machine. */
  readonly recipients: readonly string[];
  readonly encryption: 'age' | 'none';
  readonly readBack: boolean;
  readonly restoreTestCron?: string;
  readonly assertions: readonly string[];
  /** Seconds. */
  readonly objectives: { readonly rto?: number; readonly rpo?: number };
  readonly postgres?: {
    readonly container: string;
    readonly image: string;
    readonly superuser: string;
  };
  readonly redis?: { readonly container: string };
}
