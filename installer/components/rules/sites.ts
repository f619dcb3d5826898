import { posix } from 'node:path';
import { PLATFORM_VOLUME } from '../services/volumes.ts';
import { error, type Finding } from './finding.ts';
import { didYouMean } from './nearest.ts';
import type { Rule } from './rule.ts';

/** A site has files, hosts of its own, and a canonical host among them. */
export const sitesAreComplete: Rule = function* ({ file }) {
  for (const [name, site] of Object.entries(file.sites)) {
    const path = ['sites', name];
    if (site.artifact === undefined && site.build === undefined && site.image === undefined) {
      yield atKey(error('no-files', path, 'needs an artifact, an image or a build'));
    }
    if (site.image !== undefined && (site.artifact ?? site.build) !== undefined) {
      const message = 'has an artifact or a build as well: keep one of them';
      yield atKey(error('image-and-more', [...path, 'image'], message));
    }
    if (site.image !== undefined && !isAbsoluteFolder(site.image.folder)) {
      const message =
        'names a folder in the image by its whole path, such as /usr/share/nginx/html';
      yield error('image-folder', [...path, 'image', 'folder'], message);
    }
    if (site.artifact !== undefined && site.build !== undefined) {
      yield atKey(
        error(
          'artifact-and-build',
          [...path, 'build'],
          'has an artifact as well: keep one of them',
        ),
      );
    }
    if (site.build !== undefined && !isWithin(site.build.output)) {
      const message = 'names a folder within build.context, such as dist';
      yield error('output-outside', [...path, 'build', 'output'], message);
    }
    if (site.downloads !== undefined && PLATFORM_VOLUME.test(site.downloads.volume)) {
      const message = 'is a volume of the platform: choose another name';
      yield error('platform-volume', [...path, 'downloads', 'volume'], message);
    }
    if (Object.hasOwn(file.services, name)) {
      yield atKey(error('duplicate-name', path, `there is a service ${name} already`));
    }
    if (site.canonicalHost !== undefined && !site.hosts.includes(site.canonicalHost)) {
      const message = `${site.canonicalHost} is not among hosts${didYouMean(site.canonicalHost, site.hosts)}`;
      yield error('canonical-host', [...path, 'canonicalHost'], message);
    }
  }
};

/** Not all of an image: its `/etc` is nobody's web page. */
function isAbsoluteFolder(path: string): boolean {
  const normal = posix.normalize(path).replace(/\/$/, '');
  return normal.startsWith('/') && normal.length > 1 && !/[$*?[\]\\"\n]/.test(path);
}

/** Characters that a Dockerfile reads as more than themselves are left out too. */
function isWithin(path: string): boolean {
  const normal = posix.normalize(path);
  return !posix.isAbsolute(normal) && !/^\.\.(?:\/|$)/.test(normal) && !/[$*?[\]\\"]/.test(path);
}

function atKey(finding: Finding): Finding {
  return { ...finding, at: 'key' };
}
