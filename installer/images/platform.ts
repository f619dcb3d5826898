import type { Engine } from '../engine/engine.ts';
import { AppError } from '../errors.ts';
import { NOT_IN_DEBIAN, OFFICIAL_IMAGES } from '../images.ts';
import type {
  ImageNeed,
  PlatformImage,
  ResolvedImage,
  ResolvedImages,
  UnavailableImage,
} from '../model/images.ts';
import type { LockedImage, LockFile } from '../model/lock-file.ts';
import type { DebianCatalogue } from './debian.ts';
import { pinned, type RegistryClient } from './registry.ts';
import { officialRelease, olderDebian, olderVersions, satisfies } from './satisfies.ts';

export interface PlatformContext {
  readonly engine: Engine;
  readonly registry: RegistryClient;
  readonly mirror: string | undefined;
  readonly lock: LockFile;
  readonly refresh: boolean;
  readonly recipe: string;
  /** Asks Debian, or an older one, once each. */
  readonly catalogue: (suite?: string) => Promise<DebianCatalogue>;
}

export interface PlatformOutcome {
  readonly images: ResolvedImages['platform'];
  readonly locked: LockFile['images'];
  readonly unavailable: NonNullable<LockFile['unavailable']>;
}

/** One road's answer: an image, or one sentence why not. */
type Found = { readonly image: LockedImage } | { readonly reason: string };

/** Decides for the platform's own images: Debian's packages, or the pinned official image. */
export class PlatformResolver {
  readonly #context: PlatformContext;

  constructor(context: PlatformContext) {
    this.#context = context;
  }

  async resolveAll(needs: readonly ImageNeed[]): Promise<PlatformOutcome> {
    const decided = await Promise.all(
      mergeNeeds(needs).map(async (need) => ({ need, found: await this.#decide(need) })),
    );
    const images: Partial<Record<PlatformImage, ResolvedImage | UnavailableImage>> = {};
    const locked: Partial<Record<PlatformImage, LockedImage>> = {};
    const unavailable: Partial<Record<PlatformImage, { reason: string; wish: string }>> = {};
    for (const { need, found } of decided) {
      if ('image' in found) {
        locked[need.image] = withKnownDigest(found.image, this.#context.lock.images[need.image]);
        images[need.image] = await this.#withAction(need.image, found.image);
      } else {
        if (need.optional !== true) throw versionUnavailable(need, found.reason);
        unavailable[need.image] = {
          reason: found.reason,
          wish: wishOf(need, this.#context.mirror),
        };
        images[need.image] = { unavailable: found.reason };
      }
    }
    return { images, locked, unavailable };
  }

  async #decide(need: ImageNeed): Promise<Found> {
    const kept = this.#context.refresh ? undefined : await this.#kept(need);
    if (kept !== undefined) return kept;

    const reasons: string[] = [];
    for (const road of roadsOf(need)) {
      const found = await (road === 'debian' ? this.#fromDebian(need) : this.#fromRegistry(need));
      if ('image' in found) return found;
      reasons.push(found.reason);
    }
    return { reason: reasons.join('; ') };
  }

  /** The decision of the lock file, while the wish and, for our own builds, the recipe are the same. */
  async #kept(need: ImageNeed): Promise<Found | undefined> {
    const { lock, mirror, recipe, engine } = this.#context;
    const wish = wishOf(need, mirror);
    const absent = lock.unavailable?.[need.image];
    if (absent?.wish === wish) return { reason: absent.reason };

    const image = lock.images[need.image];
    if (image === undefined) return undefined;
    if (image.source === 'registry') return image.wish === wish ? { image } : undefined;
    if (image.wish !== `${wish} recipe=${recipe}`) return undefined;
    // Its packages may be gone from the mirror by now: what has to be built again is decided again.
    return (await engine.image(image.reference)) === undefined ? undefined : { image };
  }

  async #fromDebian(need: ImageNeed): Promise<Found> {
    if (NOT_IN_DEBIAN.has(need.image)) return { reason: `Debian does not carry ${need.image}` };
    let catalogue: DebianCatalogue;
    try {
      catalogue = await this.#context.catalogue(olderDebian(need.image, need.version));
    } catch (error) {
      // A mirror that is down for a moment must not move a server to images of another kind.
      const wasDebian = this.#context.lock.images[need.image]?.source === 'debian';
      if (!(error instanceof AppError) || wasDebian || !roadsOf(need).includes('registry')) {
        throw error;
      }
      return { reason: error.message };
    }
    const offer = catalogue.images.find(({ name }) => name === need.image);
    if (offer === undefined || !satisfies(need.image, offer.version, need.version)) {
      const has = offer === undefined ? 'none' : offer.version;
      const older = olderVersions(need.image).map(({ suite, major }) => `, ${suite} has ${major}`);
      return { reason: `Debian ${catalogue.suite} has ${need.image} ${has}${older.join('')}` };
    }
    const wish = `${wishOf(need, this.#context.mirror)} recipe=${this.#context.recipe}`;
    const { reference, version } = offer;
    return { image: { reference, version, source: 'debian', wish } };
  }

  async #fromRegistry(need: ImageNeed): Promise<Found> {
    const release = officialRelease(need.image, need.version);
    if (release === undefined) {
      return { reason: `there is no official ${need.image} ${need.version ?? ''}`.trimEnd() };
    }
    const { mirror, registry } = this.#context;
    const repository = mirrored(OFFICIAL_IMAGES[need.image].repository, mirror);
    const reference = `${repository}:${release.tag ?? release.version}`;
    const wish = wishOf(need, mirror);
    const answer = await registry.inspect(
      release.digest === undefined ? reference : pinned(reference, release.digest),
    );
    if (answer.kind !== 'found') {
      const known = this.#context.lock.images[need.image];
      const serves = known?.source === 'registry' && known.wish === wish;
      return serves ? { image: known } : { reason: answer.reason };
    }
    const digest = answer.digest;
    return {
      image: {
        reference: pinned(reference, digest),
        version: release.version,
        source: 'registry',
        digest,
        wish,
      },
    };
  }

  async #withAction(image: PlatformImage, locked: LockedImage): Promise<ResolvedImage> {
    const { reference, version, source } = locked;
    if ((await this.#context.engine.image(reference)) !== undefined) {
      return { reference, version, source, action: { kind: 'present' } };
    }
    const action =
      source === 'debian'
        ? ({ kind: 'bake', target: image } as const)
        : ({ kind: 'pull' } as const);
    return { reference, version, source, action };
  }
}

/** The same build has the same id, also when it was decided anew. */
function withKnownDigest(image: LockedImage, known: LockedImage | undefined): LockedImage {
  const digest = known?.reference === image.reference ? known.digest : undefined;
  return digest === undefined ? image : { ...image, digest };
}

function roadsOf(need: ImageNeed): readonly ('debian' | 'registry')[] {
  return need.source === 'auto' ? ['debian', 'registry'] : [need.source];
}

/** Several components may ask for the same image; the one that names a version decides. */
function mergeNeeds(needs: readonly ImageNeed[]): ImageNeed[] {
  const merged = new Map<PlatformImage, ImageNeed>();
  for (const need of needs) {
    const known = merged.get(need.image);
    const decisive = known?.version === undefined ? need : known;
    const optional = (known?.optional ?? true) && (need.optional ?? false);
    merged.set(need.image, { ...decisive, optional });
  }
  return [...merged.values()];
}

function wishOf(need: ImageNeed, mirror: string | undefined): string {
  const from = mirror === undefined ? '' : ` mirror=${mirror}`;
  return `${need.source} ${need.version ?? 'any'}${from}`;
}

function mirrored(repository: string, mirror: string | undefined): string {
  return mirror === undefined ? repository : repository.replace(/^[^/]+/, mirror);
}

function versionUnavailable(need: ImageNeed, reason: string): AppError {
  const version = need.version ?? 'of any version';
  const offered = /Debian \w+ has \S+ (\d[\w.]*)/.exec(reason)?.[1];
  const key =
    need.image === 'postgres' || need.image === 'redis' ? need.image : `images.${need.image}`;
  const major = need.image === 'postgres' ? offered?.split('.')[0] : offered;
  const choice =
    major === undefined || need.source === 'registry'
      ? ''
      : `set ${key}.version: "${major}" in config.yaml, which Debian has, or `;
  return new AppError({
    code: 'image/version-unavailable',
    what: `${need.image} ${version} cannot be had on this machine`,
    why: reason,
    hint: `${choice}let the machine reach a registry or name a mirror in images.registry, then run \`holdfast plan\` again`,
    details: { image: need.image, wish: need.version, debian: offered },
  });
}
