import type { Desired } from '../model/desired.ts';
import { servingSlot } from '../model/edge-state.ts';
import type { Operation, ServiceChange } from '../model/operation.ts';
import type { Observed } from './observed.ts';

/** Name of the root file systems that the Debian images stand on. */
const BASE_IMAGE = 'holdfast/base:';

/** Makes the images present that are not. */
export function imageOperations(desired: Desired, observed: Observed): Operation[] {
  const bakes: { target: string; reference: string }[] = [];
  const rest: Operation[] = [];
  for (const [reference, action] of [...desired.images].sort(([a], [b]) => (a < b ? -1 : 1))) {
    if (observed.images.has(reference)) continue;
    const common = { cause: 'not on this machine yet', impact: 'none' } as const;
    switch (action.kind) {
      case 'bake':
        bakes.push({ target: action.target, reference });
        break;
      case 'pull':
      case 'present':
        rest.push({ kind: 'pull-image', id: `pull-image:${reference}`, reference, ...common });
        break;
      case 'build':
        rest.push({
          kind: 'build-image',
          id: `build-image:${reference}`,
          service: serviceOfImage(desired, reference),
          reference,
          ...common,
        });
        break;
    }
  }
  if (bakes.length === 0) return rest;
  const bake: Operation = {
    kind: 'bake-images',
    id: 'bake-images',
    targets: bakes.map(({ target }) => target),
    references: bakes.map(({ reference }) => reference),
    cause: 'not built from Debian packages yet',
    impact: 'none',
  };
  return [bake, ...rest];
}

function serviceOfImage(desired: Desired, reference: string): string {
  const entry = Object.entries(desired.stack.services).find(
    ([, service]) => service.image === reference,
  );
  return entry?.[0] ?? '';
}

/** Images of the containers of rolled services that the plan leaves: what serves now stays for the way back. */
function keptReleases(
  { rolled }: Desired,
  { containers, edge }: Observed,
  changes: ReadonlyMap<string, ServiceChange>,
): string[] {
  return containers
    .filter(({ service, slot }) => {
      if (!rolled.has(service)) return false;
      const all = containers.filter((one) => one.service === service);
      return changes.get(service)?.change !== 'release' || slot === servingSlot(edge, service, all);
    })
    .map(({ image }) => image);
}

/** Every image that this generation names. */
export function imagesInUse({
  stack,
  images,
  lock,
  keptImages = [],
}: Desired): ReadonlySet<string> {
  const locked = [...Object.values(lock.images), ...Object.values(lock.services)];
  return new Set([
    ...images.keys(),
    ...keptImages,
    ...Object.values(stack.services).map(({ image }) => image),
    ...locked.flatMap((image) => (image === undefined ? [] : [image.reference])),
    // For the way back.
    ...Object.values(lock.services).flatMap(({ previous = [] }) =>
      previous.map(({ reference }) => reference),
    ),
  ]);
}

/**
 * Removes images that we made present and that neither this generation nor the one before it uses: a failing
 * apply goes back to the one before. What others brought here is not in the record and stays.
 */
export function outdatedImages(
  desired: Desired,
  observed: Observed,
  changes: ReadonlyMap<string, ServiceChange>,
): Operation[] {
  const { manifest } = observed;
  const inUse = new Set([...imagesInUse(desired), ...keptReleases(desired, observed, changes)]);
  const newestBase = Object.entries(manifest.images)
    .filter(([reference]) => reference.startsWith(BASE_IMAGE))
    .sort(([, a], [, b]) => b - a)[0]?.[0];
  const references = Object.entries(manifest.images)
    .filter(([reference, lastUse]) => lastUse < manifest.generation && !inUse.has(reference))
    .map(([reference]) => reference)
    .filter((reference) => reference !== newestBase)
    .sort();
  if (references.length === 0) return [];
  return [
    {
      kind: 'remove-images',
      id: 'remove-images',
      references,
      cause: 'used neither by this config nor by the one before',
      impact: 'none',
    },
  ];
}
