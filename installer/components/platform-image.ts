import { AppError } from '../errors.ts';
import type { ImageNeed, PlatformImage, ResolvedImage } from '../model/images.ts';
import type { ComponentInput } from './component.ts';
import type { Config } from './sections.ts';

/** The wish for one image of the platform, as the `images` section has it. */
export function imageNeed(config: Config, image: PlatformImage): ImageNeed {
  // The edge is one part to whoever chooses images, with its firewall or without.
  const own = config.images[image === 'nginx-waf' ? 'nginx' : image];
  return {
    image,
    source: own?.source ?? config.images.source,
    ...(own?.version === undefined ? {} : { version: own.version }),
  };
}

/** The outcome for an image, or undefined where it cannot be had. */
export function availableImage(
  input: ComponentInput,
  image: PlatformImage,
): ResolvedImage | undefined {
  const found = input.images.platform[image];
  return found === undefined || 'unavailable' in found ? undefined : found;
}

/** @throws AppError `image/unavailable` */
export function requiredImage(input: ComponentInput, image: PlatformImage): ResolvedImage {
  const found = input.images.platform[image];
  if (found !== undefined && !('unavailable' in found)) return found;
  throw new AppError({
    code: 'image/unavailable',
    what: `The image of ${image} cannot be had`,
    why: found?.unavailable ?? 'nothing asked for it',
    hint: 'Run `holdfast doctor` to see which sources of images answer.',
  });
}

/**
 * A health check that asks `url` from inside the container: with the probe of our own images,
 * or with the client that the official image ships.
 */
export function httpHealthTest(
  image: ResolvedImage,
  url: string,
  officialClient: 'curl' | 'wget' | 'none',
): string[] {
  if (image.source !== 'registry') return ['CMD', '/usr/local/bin/http-health', url];
  switch (officialClient) {
    case 'curl':
      return ['CMD', 'curl', '-fsS', '-o', '/dev/null', url];
    case 'wget':
      return ['CMD', 'wget', '-q', '-O', '/dev/null', url];
    case 'none':
      return ['NONE'];
  }
}
