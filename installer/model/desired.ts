import type {
  DirectorySpec,
  HttpCheck,
  Migration,
  Notice,
  PortCheck,
  Provision,
  Reaction,
  Reload,
  RolledService,
  Validator,
} from './contribution.ts';
import type { ImageAction } from './images.ts';
import type { LockFile } from './lock-file.ts';
import type { WantedUpgrade } from './postgres-upgrade.ts';
import type { Secret } from './secret.ts';
import type { DesiredSite } from './site.ts';
import type { Stack } from './stack.ts';
import type { StandIn } from './stand-in.ts';

export interface DesiredFile {
  /** Absolute. */
  readonly path: string;
  readonly content: string;
  readonly mode: number;
  readonly uid: number;
  readonly gid: number;
  readonly secret: boolean;
  readonly onChange: readonly Reaction[];
}

/** Everything that shall be true of a server, as plain data. */
export interface Desired {
  readonly project: string;
  /** By absolute path. */
  readonly files: ReadonlyMap<string, DesiredFile>;
  readonly stack: Stack;
  /** sha256 of each stack service, by name; also its `io.holdfast.spec` label. */
  readonly specs: ReadonlyMap<string, string>;
  readonly images: ReadonlyMap<string, ImageAction>;
  /** Values to store that are not in the store yet. */
  readonly newSecrets: ReadonlyMap<string, Secret>;
  readonly reloads: Readonly<Record<string, Reload>>;
  readonly validators: readonly Validator[];
  readonly provisions: readonly Provision[];
  /** Requests through nginx that must answer 200 after an apply. */
  readonly frontDoor: readonly FrontDoorCheck[];
  readonly httpChecks: readonly HttpCheck[];
  readonly portChecks: readonly PortCheck[];
  readonly migrations: readonly Migration[];
  readonly sites: readonly DesiredSite[];
  /** By service. */
  readonly rolled: ReadonlyMap<string, RolledService>;
  readonly standIns: readonly StandIn[];
  readonly directories: readonly DirectorySpec[];
  readonly notices: readonly Notice[];
  readonly lock: LockFile;
  /** The config asks for backups of the databases before this change. */
  readonly backsUpFirst?: boolean;
  /** The data has to go to another major version first. */
  readonly postgresUpgrade?: WantedUpgrade;
  /** Images that nothing runs and that a way back needs. */
  readonly keptImages?: readonly string[];
  /** sha256 of the config file's bytes. */
  readonly configDigest: string;
}

/** What came of a {@link FrontDoorCheck}. */
export interface FrontDoorFailure {
  readonly why: string;
  /** Whether nginx took the request: then it may be what stands behind it that fails. */
  readonly isTaken: boolean;
}

export interface FrontDoorCheck {
  /** Absent for a site. */
  readonly service?: string;
  readonly host: string;
  readonly path: string;
  /** Text that must stand in the body. */
  readonly expect?: string;
  /** As long as the service's own check may take; absent for a site. */
  readonly timeoutSeconds?: number;
}
