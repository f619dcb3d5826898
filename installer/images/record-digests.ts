import type { Engine } from '../engine/engine.ts';
import type { LockedImage } from '../model/lock-file.ts';
import type { ImageLock } from './resolve.ts';

/** The lock with the id of every image that was built here; called once all images are present. */
export async function recordDigests<L extends ImageLock>(engine: Engine, lock: L): Promise<L> {
  return {
    ...lock,
    images: await recordAll(engine, lock.images),
    services: await recordAll(engine, lock.services),
  };
}

async function recordAll<R extends Readonly<Record<string, LockedImage>>>(
  engine: Engine,
  images: R,
): Promise<R> {
  const entries = await Promise.all(
    Object.entries(images).map(async ([name, image]) => {
      if (image.source === 'registry') return [name, image] as const;
      const present = await engine.image(image.reference);
      return [name, present === undefined ? image : { ...image, digest: present.id }] as const;
    }),
  );
  return Object.fromEntries(entries) as R;
}
