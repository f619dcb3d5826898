import type { Engine } from '../engine/engine.ts';
import type { Host } from '../host/host.ts';
import type { Announce } from '../model/deploy-event.ts';
import type { Report } from '../model/events.ts';
import type { ImageAction } from '../model/images.ts';
import type { Paths } from '../model/paths.ts';
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
  /** Backs the databases up before a migration; absent where the config does not ask for it. */
  readonly snapshotBeforeMigration?: () => Promise<void>;
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

export interface Clock {
  now(): Date;
  /** Resolves after that many seconds. */
  pause(seconds: number): Promise<void>;
}

export const SYSTEM_CLOCK: Clock = {
  now: () => new Date(),
  pause: (seconds) => new Promise((resolve) => setTimeout(resolve, seconds * 1000)),
};
