import type { Engine } from '../engine/engine.ts';
import type { Host } from '../host/host.ts';
import type { Announce } from '../model/deploy-event.ts';
import type { Report } from '../model/events.ts';
import type { ImageAction } from '../model/images.ts';
import type { Paths } from '../model/paths.ts';
import type { PostgresUpgrade, Rehearsal, UpgradeJournal } from '../model/postgres-upgrade.ts';
import type { Secret } from '../model/secret.ts';
import type { DesiredSite } from '../model/site.ts';

/** What changes of a server pass through. */
export interface ApplyContext {
  readonly host: Host;
  readonly engine: Engine;
  readonly paths: Paths;
  readonly project: string;
  readonly secrets: SecretAccess;
  readonly images: ImageMaker;
  readonly releases: ReleaseMaker;
  readonly report: Report;
  readonly clock: Clock;
  /** Logs in to another machine once more; absent where the host is this machine. */
  readonly reconnect?: () => Promise<Host>;
  /** Tells who wants to know of deploys; absent where nobody does. */
  readonly announce?: Announce;
  /** Copies clusters of Postgres from one major version to another; absent where nothing does. */
  readonly clusters?: ClusterMaker;
  /** Backs the databases up, and gives the ids of those backups; absent where the config does not ask for it. */
  readonly backUp?: () => Promise<readonly string[]>;
  /** The same before a migration. */
  readonly snapshotBeforeMigration?: () => Promise<readonly string[]>;
}

/** The part of the secret store that apply needs. */
export interface SecretAccess {
  all(): Promise<ReadonlyMap<string, Secret>>;
  store(name: string, value: Secret): Promise<void>;
}

/** Makes images present on the host. Each call may be repeated after a kill. */
export interface ImageMaker {
  /** @param onBase is told the image that they stand on before that is made */
  bake(
    targets: readonly string[],
    references: readonly string[],
    onBase: (reference: string) => Promise<void>,
  ): Promise<void>;
  pull(reference: string): Promise<void>;
  build(
    reference: string,
    action: Extract<ImageAction, { kind: 'build' }>,
    service: string,
  ): Promise<void>;
}

export interface ReleaseMaker {
  /** Fills a new folder on the host with the finished files of a release; may be repeated after a kill. */
  fill(site: DesiredSite, folder: string): Promise<void>;
}

/** Brings the data of Postgres to another major version. Each call may be repeated after a kill. */
export interface ClusterMaker {
  /** A fresh backup of the running server, read back as the config asks for it. */
  backUp(): Promise<void>;
  /** Tries the upgrade beside the running server, unless that was done lately. */
  rehearse(upgrade: PostgresUpgrade): Promise<Rehearsal>;
  /** Fills the new volume from the old one, whose server is stopped, and compares. @throws AppError class `restore` */
  copy(upgrade: PostgresUpgrade): Promise<{ readonly rowsWritten: number }>;
  /** Ends a copy that was killed; volumes stay. */
  end(): Promise<void>;
  /** Ends a rehearsal that was killed, with its volumes. Quick where there was none. */
  clear(): Promise<void>;
  /** Rows written to the new cluster, whose server is stopped, since it was complete; undefined when nobody knows. */
  writtenSince(journal: UpgradeJournal): Promise<number | undefined>;
}

export interface Clock {
  now(): Date;
  /** Milliseconds that only ever go on: the time of day may be set meanwhile. For deadlines and durations. */
  elapsed(): number;
  /** Resolves after that many seconds. */
  pause(seconds: number): Promise<void>;
}

export const SYSTEM_CLOCK: Clock = {
  now: () => new Date(),
  elapsed: () => performance.now(),
  pause: (seconds) => new Promise((resolve) => setTimeout(resolve, seconds * 1000)),
};
