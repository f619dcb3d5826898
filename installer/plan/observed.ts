import type { EdgeState, Slot } from '../model/edge-state.ts';
import type { HostFacts } from '../model/facts.ts';
import type { LockFile } from '../model/lock-file.ts';
import type { Manifest } from '../model/manifest.ts';
import type { UpgradeJournal } from '../model/postgres-upgrade.ts';
import type { Secret } from '../model/secret.ts';
import type { ObservedSite } from '../model/site.ts';
import type { UpdatableSettings } from '../model/stack.ts';

/** A file as it stands on the server. */
export interface ObservedFile {
  /** Hex. */
  readonly sha256: string;
  readonly mode: number;
  readonly uid: number;
  readonly gid: number;
  /** Text for the diff; absent for a secret file, one that is not ours to show, or one over 1 MiB. */
  readonly content?: string;
}

export interface ObservedContainer {
  readonly id: string;
  readonly name: string;
  readonly service: string;
  /** That made it; absent on one that is not of ours. */
  readonly component?: string;
  /** Of a service that is rolled. */
  readonly slot: Slot;
  /** The `io.holdfast.spec` label. */
  readonly spec: string;
  /** As the compose file named it. */
  readonly image: string;
  readonly imageId: string;
  readonly running: boolean;
  /** Stopped for good; neither this nor `running` is one that ends and is started again and again. */
  readonly atRest: boolean;
  readonly healthy: boolean;
  /** Bytes; 0 means no limit. */
  readonly memoryLimit: number;
  readonly updatable?: UpdatableSettings;
  /** Names on the engine. */
  readonly networks: readonly string[];
}

/** One snapshot of a server, taken before planning. */
export interface Observed {
  readonly facts: HostFacts;
  readonly manifest: Manifest;
  readonly lock: LockFile;
  /** Absent where Postgres was never upgraded. */
  readonly postgresUpgrade?: UpgradeJournal;
  /** Stored secrets by name. */
  readonly secrets: ReadonlyMap<string, Secret>;
  /** Every desired or recorded file that exists, by absolute path. */
  readonly files: ReadonlyMap<string, ObservedFile>;
  /** Every desired folder that exists, by absolute path. */
  readonly directories: ReadonlyMap<
    string,
    { readonly mode: number; readonly uid: number; readonly gid: number }
  >;
  /** Which release of each service serves, and where nginx sends requests. */
  readonly edge: EdgeState;
  /** All containers of the project. */
  readonly containers: readonly ObservedContainer[];
  /** A stand-in, or the rules that lead to it, is there: an apply was killed. */
  readonly standInLeft: boolean;
  readonly networks: readonly { readonly name: string; readonly subnet: string }[];
  readonly volumes: readonly string[];
  /** Those that the applied stack names. */
  readonly appliedVolumes: readonly string[];
  readonly sites: ReadonlyMap<string, ObservedSite>;
  /** Image id by reference, for every image of the stack that is present. */
  readonly images: ReadonlyMap<string, string>;
}
