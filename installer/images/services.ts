import type { Engine } from '../engine/engine.ts';
import { AppError } from '../errors.ts';
import type { Host } from '../host/host.ts';
import type { ResolvedImage } from '../model/images.ts';
import type { LockedImage, LockFile } from '../model/lock-file.ts';
import { type BuildSource, contextDigest, dockerfileOf } from './context-digest.ts';
import { pinned, type RegistryClient } from './registry.ts';

/** What the config says of a service's image: exactly one of the two. */
export type ServiceImage = { readonly image: string } | { readonly build: BuildSource };

export interface ServiceContext {
  /** The machine that the config file and its build contexts stand on. */
  readonly sources: Host;
  readonly engine: Engine;
  readonly registry: RegistryClient;
  readonly project: string;
  readonly locked: LockFile['services'];
  readonly refresh: boolean;
  /** The platform's own Node image, when there is one: Dockerfiles get it as `HOLDFAST_NODE_IMAGE`. */
  readonly nodeImage: string | undefined;
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
        const image =
          'build' in source
            ? await this.#built(name, source.build)
            : await this.#pulled(name, source.image);
        return [name, image] as const;
      }),
    );
    return {
      images: Object.fromEntries(resolved.map(([name, { image }]) => [name, image])),
      locked: Object.fromEntries(resolved.map(([name, { locked }]) => [name, locked])),
    };
  }

  async #built(service: string, source: BuildSource) {
    const { sources, engine, project, nodeImage, locked: known } = this.#context;
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
      wish: `build ${source.context}`,
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
    const { locked, refresh, registry, engine } = this.#context;
    const kept = locked[service];
    if (!refresh && kept?.source === 'registry' && kept.wish === wish) return kept;

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
    if (refresh && kept?.wish === wish) return kept;
    const local = await engine.image(wish);
    if (local !== undefined) {
      return { reference: wish, version, source: 'registry', digest: local.id, wish };
    }
    throw noImage(service, wish, answer.kind, answer.reason);
  }
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
