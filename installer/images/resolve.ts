import type { Engine } from '../engine/engine.ts';
import type { Host } from '../host/host.ts';
import type { ImageNeed, ResolvedImages } from '../model/images.ts';
import type { LockFile } from '../model/lock-file.ts';
import { askDebian, type DebianCatalogue, recipeDigest } from './debian.ts';
import { PlatformResolver } from './platform.ts';
import { RegistryClient } from './registry.ts';
import { type Pin, type ServiceImage, ServiceResolver } from './services.ts';

export interface ImageRequest {
  readonly host: Host;
  /** The machine that the config file and its build contexts stand on; `host` when absent. */
  readonly sources?: Host;
  readonly engine: Engine;
  readonly project: string;
  readonly needs: readonly ImageNeed[];
  /** Mirror of the official images, `images.registry`. */
  readonly registry?: string;
  /** By service name: what the config says. */
  readonly services: Readonly<Record<string, ServiceImage>>;
  readonly lock: LockFile;
  /** Image of the containers that serve, by service. */
  readonly serving?: Readonly<Record<string, string>>;
  /** Where the program with its `images/` folder stands on the host. */
  readonly programPath: string;
  /** Decide all anew, as `update` does; otherwise a decision of the lock file holds while its wish does. */
  readonly refresh?: boolean;
  /** Builds whose sources were edited since the last apply stay what they are. */
  readonly keepsEdited?: boolean;
  /** By service: images that a deploy puts in the place of what the config says. */
  readonly pins?: Readonly<Record<string, Pin>>;
  /** Releases of each service that are remembered; 3 when absent, as in the config. */
  readonly keepReleases?: number;
}

export type ImageLock = Pick<LockFile, 'images' | 'services' | 'unavailable'>;

export interface ImageOutcome {
  readonly images: ResolvedImages;
  /** The decisions to keep. Built images get their id by `recordDigests` once they are there. */
  readonly lock: ImageLock;
}

/**
 * Decides where each image of the stack comes from and pins it. With a lock file that still fits and all
 * images present it asks neither Debian nor a registry.
 *
 * @throws AppError `image/version-unavailable`, `image/not-found`, `image/unreachable`,
 *   `image/debian-unreachable`, `image/no-context`, `image/no-dockerfile`
 */
export async function resolveImages(request: ImageRequest): Promise<ImageOutcome> {
  const { host, engine, programPath } = request;
  const registry = new RegistryClient(host);
  const platform = new PlatformResolver({
    engine,
    registry,
    mirror: request.registry,
    lock: request.lock,
    refresh: request.refresh ?? false,
    recipe: await recipeDigest(host, programPath),
    catalogue: oncePerSuite((suite) =>
      askDebian(host, programPath, { offline: false, ...(suite !== undefined && { suite }) }),
    ),
  });
  const platformOutcome = await platform.resolveAll(request.needs);

  const node = platformOutcome.images.node;
  const services = new ServiceResolver({
    sources: request.sources ?? host,
    engine,
    registry,
    project: request.project,
    locked: request.lock.services,
    serving: request.serving ?? {},
    refresh: request.refresh ?? false,
    pins: request.pins ?? {},
    keepReleases: request.keepReleases ?? 3,
    nodeImage: node !== undefined && 'reference' in node ? node.reference : undefined,
    ...(request.keepsEdited === true
      ? { unedited: { nodeImage: request.lock.images.node?.reference } }
      : {}),
  });
  const serviceOutcome = await services.resolveAll(request.services);

  return {
    images: {
      platform: platformOutcome.images,
      services: serviceOutcome.images,
      ...(registry.answers === undefined ? {} : { registryAnswers: registry.answers }),
    },
    lock: {
      images: platformOutcome.locked,
      unavailable: platformOutcome.unavailable,
      services: serviceOutcome.locked,
    },
  };
}

function oncePerSuite(
  ask: (suite: string | undefined) => Promise<DebianCatalogue>,
): (suite?: string) => Promise<DebianCatalogue> {
  const answers = new Map<string | undefined, Promise<DebianCatalogue>>();
  return (suite) => {
    const answer = answers.get(suite) ?? ask(suite);
    answers.set(suite, answer);
    return answer;
  };
}
