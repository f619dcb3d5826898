import { EXACT_MAJOR, OFFICIAL_IMAGES, type OfficialRelease, OLDER_DEBIAN } from '../images.ts';
import type { PlatformImage } from '../model/images.ts';

/** Whether `version` fulfils a wish such as `16` or `7.2`; no wish is fulfilled by anything. */
export function satisfies(
  image: PlatformImage,
  version: string,
  wish: string | undefined,
): boolean {
  if (wish === undefined) return true;
  const have = numbers(version);
  const want = numbers(wish);
  if (EXACT_MAJOR.has(image) && have[0] !== want[0]) return false;
  return compare(have, want) >= 0;
}

/** What an older Debian has of an image. */
export function olderVersions(
  image: PlatformImage,
): readonly { readonly suite: string; readonly major: number }[] {
  return OLDER_DEBIAN[image] ?? [];
}

/** The suite of the older Debian that has the wished major version; undefined where the usual one is asked. */
export function olderDebian(image: PlatformImage, wish: string | undefined): string | undefined {
  if (wish === undefined) return undefined;
  return olderVersions(image).find(({ major }) => major === numbers(wish)[0])?.suite;
}

/**
 * The release of the official image that fulfils the wish: the closest one, so that `7.2` brings 7.2 and
 * not 8. A full version that the table lacks is taken by its word as the tag.
 */
export function officialRelease(
  image: PlatformImage,
  wish: string | undefined,
): OfficialRelease | undefined {
  const { releases } = OFFICIAL_IMAGES[image];
  if (releases.length === 0) return undefined;
  if (wish === undefined) return releases[0];
  const sameLine = releases.find((release) => isSameLine(release.version, wish));
  if (sameLine !== undefined) return sameLine;
  if (wish.includes('.')) return { version: wish, tag: tagLike(releases[0], wish) };
  return releases.findLast((release) => satisfies(image, release.version, wish));
}

function isSameLine(version: string, wish: string): boolean {
  return version === wish || version.startsWith(`${wish}.`);
}

/** A version of the user's own, spelt as the project spells its tags. */
function tagLike(known: OfficialRelease | undefined, version: string): string {
  return known?.tag?.replace(known.version, version) ?? version;
}

function numbers(version: string): number[] {
  return (/^\d+(?:\.\d+)*/.exec(version)?.[0] ?? '0').split('.').map(Number);
}

function compare(left: readonly number[], right: readonly number[]): number {
  for (let index = 0; index < right.length; index += 1) {
    const difference = (left[index] ?? 0) - (right[index] ?? 0);
    if (difference !== 0) return difference;
  }
  return 0;
}
