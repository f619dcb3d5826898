/** Something that holds data and how it is read. */
export type BackupSource =
  | { readonly kind: 'postgres'; readonly databases: readonly string[] }
  | { readonly kind: 'redis' }
  /** The recovery kit: what this server was made from, without what the other jobs save. */
  | { readonly kind: 'appliance' }
  | {
      readonly kind: 'volume';
      readonly name: string;
      readonly volume: string;
      readonly service: string;
      /** How the service is held still while its files are read. */
      readonly calm?: {
        readonly pause?: boolean;
        /** Seconds that the pause may last; 60 when absent. */
        readonly pauseSeconds?: number;
        /** Commands in each of its containers that mounts the volume. */
        readonly before?: readonly string[];
        readonly after?: readonly string[];
      };
    }
  /** What another job has stored and verified, copied to a second store. */
  | { readonly kind: 'backup'; readonly name: string }
  /** Another stateful container, saved by a command of its own. */
  | {
      readonly kind: 'accessory';
      readonly name: string;
      readonly container: string;
      /** Writes a backup to its standard output, inside the container. */
      readonly dump: readonly string[];
      /** Reads one from its standard input. */
      readonly restore?: readonly string[];
      /** Its volumes, as the engine names them: how much a dump may come to. */
      readonly volumes: readonly string[];
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
      /** Of the key that removes, where the other one may not. */
      readonly deleteAccessKeyIdSecret?: string;
      readonly deleteSecretAccessKeySecret?: string;
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
  /** The files of the whole cluster, which WAL rolls forward; what fits the source when absent. */
  readonly method?: 'physical';
  readonly cron: string;
  readonly store: string;
  readonly keepRemote: Retention;
  /** Copy kept under `paths.backups` besides the store, seconds; none when absent. */
  readonly keepLocalSeconds?: number;
  /** The store lets nobody change or remove a backup for so long, seconds. */
  readonly lockSeconds?: number;
  /** Name of the secret that holds the ping URL. */
  readonly pingSecret?: string;
}

/** Point-in-time recovery: where the WAL comes from and where it goes. */
export interface PitrSettings {
  /** The physical job whose base backups the WAL rolls forward; its store takes the WAL too. */
  readonly job: string;
  readonly store: string;
  /** Most data that may be lost, seconds. */
  readonly rpoSeconds: number;
  /** How far back one may go, seconds. */
  readonly windowSeconds: number;
  /** Most that the server sends of a base backup, compressed, bytes a second; no limit when absent. */
  readonly maxRate?: number;
  /** Folder of this machine that the receiver writes to. */
  readonly folder: string;
  readonly slot: string;
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
  /** When a full recovery is rehearsed. */
  readonly drillCron?: string;
  /** Seconds. */
  readonly objectives: { readonly rto?: number; readonly rpo?: number };
  readonly postgres?: {
    readonly container: string;
    readonly image: string;
    readonly superuser: string;
  };
  readonly redis?: { readonly container: string };
  readonly pitr?: PitrSettings;
}
