import type { Engine } from '../engine/engine.ts';
import { AppError } from '../errors.ts';
import type { Host } from '../host/host.ts';
import type { ResolvedImage } from '../model/images.ts';
import type { LockedImage, LockFile, PreviousRelease } from '../model/lock-file.ts';
import { type BuildSource, contextDigest, dockerfileOf } from './context-digest.ts';
import { pinned, type RegistryClient } from './registry.ts';

/** An image that takes the place of what the config says. */
export interface Pin {
  readonly image: string;
  /** It is one that served before, by its whole reference. */
  readonly isRollback: boolean;
}

/** What the config says of a service's image; `built` where the sources are not at hand. */
export type ServiceImage =
  | { readonly image: string }
  | { readonly build: BuildSource }
  | { readonly built: 'before' };

export interface ServiceContext {
  /** The machine that the config file and its build contexts stand on. */
  readonly sources: Host;
  readonly engine: Engine;
  readonly registry: RegistryClient;
  readonly project: string;
  readonly locked: LockFile['services'];
  /** Image of the containers that serve, by service; none of a service that has no containers. */
  readonly serving: Readonly<Record<string, string>>;
  readonly refresh: boolean;
  /** Images that a deploy or a rollback puts in the place of what the config says, by service. */
  readonly pins: Readonly<Record<string, Pin>>;
  /** How many releases are remembered for the way back. */
  readonly keepReleases: number;
  /** The platform's own Node image, when there is one: Dockerfiles get it as `HOLDFAST_NODE_IMAGE`. */
  readonly nodeImage: string | undefined;
  /** Builds whose sources were edited since stay what they are; the Node image of before tells which those are. */
  readonly unedited?: { readonly nodeImage: string | undefined };
}

export interface ServiceOutcome {
  readonly images: Readonly<Record<string, ResolvedImage>>;
  readonly locked: LockFile['services'];
}

/** Pins the images of the user's services: pulled ones by digest, built ones by their context's content. */
export class ServiceResolver {
  readonly #context: ServiceContext;

  constructor(context: ServiceContext) {
    this.#context = context;
  }

  async resolveAll(services: Readonly<Record<string, ServiceImage>>): Promise<ServiceOutcome> {
    const resolved = await Promise.all(
      Object.entries(services).map(async ([name, source]) => {
        const { image, locked } = await this.#resolve(name, source);
        return [name, { image, locked: this.#withPrevious(name, locked) }] as const;
      }),
    );
    return {
      images: Object.fromEntries(resolved.map(([name, { image }]) => [name, image])),
      locked: Object.fromEntries(resolved.map(([name, { locked }]) => [name, locked])),
    };
  }

  async #resolve(name: string, source: ServiceImage) {
    const pin = this.#context.pins[name];
    const kept = this.#context.locked[name];
    if ('built' in source) {
      if (kept === undefined) throw neverBuilt(name);
      return pin === undefined ? this.#asLocked(kept) : this.#pinned(name, pin, kept.wish);
    }
    if ('build' in source) {
      if (kept !== undefined && (await this.#isEdited(name, source.build, kept))) {
        return this.#asLocked(kept);
      }
      const built = await this.#built(name, source.build, this.#context.nodeImage);
      if (pin !== undefined) return this.#pinned(name, pin, built.locked.wish);
      return isPinned(kept, built.locked.wish) ? this.#asLocked(kept) : built;
    }
    if (pin !== undefined) return this.#pinned(name, pin, source.image);
    return isPinned(kept, source.image) ? this.#asLocked(kept) : this.#pulled(name, source.image);
  }

  async #pinned(service: string, { image, isRollback }: Pin, wish: string) {
    const { locked, engine } = this.#context;
    const before = [locked[service], ...(locked[service]?.previous ?? [])];
    const known = before.find((one) => one?.reference === image);
    // What served here before may be gone from its registry, and what was built here was never in one. A deploy asks
    // all the same: its tag may have moved.
    const isHere = isRollback && known !== undefined && (await engine.image(image)) !== undefined;
    const found = isHere ? known : await this.#asked(service, image);
    const { reference, version, source, digest } = found;
    return this.#asLocked({
      reference,
      version,
      source,
      ...(digest === undefined ? {} : { digest }),
      wish,
      pinned: true,
      ...(isRollback ? { rolledBack: true } : {}),
    });
  }

  async #asLocked(locked: LockedImage) {
    const { reference, version, source } = locked;
    const isPresent = (await this.#context.engine.image(reference)) !== undefined;
    const action = isPresent ? ({ kind: 'present' } as const) : ({ kind: 'pull' } as const);
    const image: ResolvedImage = { reference, version, source, action };
    return { image, locked };
  }

  /**
   * What served until now goes to the front of the releases that served before. The lock file may name one that never
   * did: its deploy was killed.
   */
  #withPrevious(service: string, locked: LockedImage): LockedImage {
    const { locked: all, keepReleases, pins } = this.#context;
    const { previous: _own, ...own } = locked;
    const kept = all[service];
    if (kept === undefined) return own;
    const earlier = kept.previous ?? [];
    const { reference, version, source, digest } = kept;
    // Going back to what was withdrawn takes the rollback back: what served meanwhile was good.
    const isReturn = earlier.some((one) => one.reference === own.reference && one.withdrawn);
    const isWithdrawn = pins[service]?.isRollback === true && !isReturn;
    const last: PreviousRelease = {
      reference,
      version,
      source,
      ...(digest === undefined ? {} : { digest }),
      ...(isWithdrawn ? { withdrawn: true } : {}),
    };
    const previous = (this.#hasServed(service, kept) ? [last, ...earlier] : earlier)
      .filter((one) => one.reference !== own.reference)
      .slice(0, keepReleases);
    return previous.length === 0 ? own : { ...own, previous };
  }

  #hasServed(service: string, { reference, rolledBack }: LockedImage): boolean {
    const serving = this.#context.serving[service];
    return serving === undefined || serving === reference || rolledBack === true;
  }

  /** Whether another image than the one in force, or than the one that a deploy replaced, comes of the sources. */
  async #isEdited(service: string, source: BuildSource, kept: LockedImage): Promise<boolean> {
    const { unedited } = this.#context;
    if (unedited === undefined) return false;
    const { locked } = await this.#built(service, source, unedited.nodeImage);
    return kept.wish !== locked.wish || kept.pinned === true;
  }

  async #built(service: string, source: BuildSource, nodeImage: string | undefined) {
    const { sources, engine, project, locked: known } = this.#context;
    const args = {
      ...(nodeImage === undefined ? {} : { HOLDFAST_NODE_IMAGE: nodeImage }),
      ...source.args,
    };
    const digest = (await contextDigest(sources, { ...source, args })).slice(0, 12);
    const reference = `holdfast-build/${project}-${service}:${digest}`;
    const present = await engine.image(reference);
    const image: ResolvedImage = {
      reference,
      version: digest,
      source: 'build',
      action:
        present === undefined
          ? {
              kind: 'build',
              context: source.context,
              dockerfile: dockerfileOf(source),
              ...(source.target === undefined ? {} : { target: source.target }),
              args,
            }
          : { kind: 'present' },
    };
    // The lock is a rendered file: it must not change just because the build has happened since.
    const kept = known[service]?.reference === reference ? known[service] : undefined;
    const locked: LockedImage = {
      reference,
      version: digest,
      source: 'build',
      ...(kept?.digest === undefined ? {} : { digest: kept.digest }),
      wish: `build ${source.context} ${digest}`,
    };
    return { image, locked };
  }

  async #pulled(service: string, wish: string) {
    const locked = await this.#pin(service, wish);
    const { reference, version } = locked;
    const present = (await this.#context.engine.image(reference)) !== undefined;
    const image: ResolvedImage = {
      reference,
      version,
      source: 'registry',
      action: { kind: present ? 'present' : 'pull' },
    };
    return { image, locked };
  }

  async #pin(service: string, wish: string): Promise<LockedImage> {
    const { locked, refresh } = this.#context;
    const kept = locked[service];
    const isSameWish = kept?.source === 'registry' && kept.wish === wish;
    if (isSameWish && !refresh) return kept;
    return this.#asked(service, wish, isSameWish ? kept : undefined);
  }

  /** @param kept serves on as it is while its registry is down */
  async #asked(service: string, wish: string, kept?: LockedImage): Promise<LockedImage> {
    const { registry, engine } = this.#context;
    const version = versionOf(wish);
    const given = /@(sha256:[0-9a-f]{64})$/.exec(wish)?.[1];
    if (given !== undefined) {
      return { reference: wish, version, source: 'registry', digest: given, wish };
    }
    const answer = await registry.inspect(wish);
    if (answer.kind === 'found') {
      const { digest } = answer;
      return { reference: pinned(wish, digest), version, source: 'registry', digest, wish };
    }
    // An image that was loaded by hand, or an old one while its registry is down, serves as it is.
    if (kept !== undefined) return kept;
    const local = await engine.image(wish);
    if (local !== undefined) {
      return { reference: wish, version, source: 'registry', digest: local.id, wish };
    }
    throw noImage(service, wish, answer.kind, answer.reason);
  }
}

function isPinned(kept: LockedImage | undefined, wish: string): kept is LockedImage {
  return kept?.pinned === true && kept.wish === wish;
}

function neverBuilt(service: string): AppError {
  return new AppError({
    code: 'image/no-context',
    what: `services.${service} was never built here, and its sources stand where the config was applied from`,
    hint: 'holdfast apply, from there',
  });
}

function versionOf(reference: string): string {
  const withoutDigest = reference.replace(/@sha256:.*$/, '');
  return /:([\w][\w.-]*)$/.exec(withoutDigest)?.[1] ?? 'by digest';
}

function noImage(
  service: string,
  image: string,
  kind: 'refused' | 'silent',
  reason: string,
): AppError {
  return kind === 'refused'
    ? new AppError({
        code: 'image/not-found',
        what: `services.${service}: there is no image ${image}`,
        why: reason,
        hint: `check the name and the tag; for a private registry run \`docker login\` on the server, then the same holdfast command again`,
      })
    : new AppError({
        code: 'image/unreachable',
        what: `services.${service}: the image ${image} cannot be had`,
        why: reason,
        hint: `make the registry reachable, or bring the image with \`docker load\`, then run the same holdfast command again`,
      });
}
