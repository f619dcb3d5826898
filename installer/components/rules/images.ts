import { error, type Finding, type PathStep } from './finding.ts';
import type { Rule } from './rule.ts';

/** An image has to say which version it is. */
export const imagesArePinned: Rule = function* ({ file }) {
  for (const section of ['profiles', 'services', 'accessories'] as const) {
    for (const [name, entry] of Object.entries(file[section])) {
      if (entry.image !== undefined) yield* pinned(entry.image, [section, name, 'image']);
    }
  }
  for (const [name, site] of Object.entries(file.sites)) {
    if (site.image !== undefined) {
      yield* pinned(site.image.reference, ['sites', name, 'image', 'reference']);
    }
    if (site.build?.image !== undefined) {
      yield* pinned(site.build.image, ['sites', name, 'build', 'image']);
    }
  }
};

function* pinned(image: string, path: readonly PathStep[]): Generator<Finding> {
  if (image.includes('@sha256:')) return;
  const tag = /:([^:/]+)$/.exec(image)?.[1];
  if (tag === undefined) {
    const message = `the image names no version: add a tag such as ${image}:1.4.2, or a digest`;
    yield error('image-without-tag', path, message);
  } else if (tag === 'latest') {
    const base = image.slice(0, -':latest'.length);
    const message = `latest is a different image every day: name a version such as ${base}:1.4.2, or a digest`;
    yield error('image-latest', path, message);
  }
}
