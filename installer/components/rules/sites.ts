import { posix } from 'node:path';
import { PLATFORM_VOLUME } from '../services/volumes.ts';
import { error, type Finding } from './finding.ts';
import { didYouMean } from './nearest.ts';
import type { Rule } from './rule.ts';

/** A site has files, hosts of its own, and a canonical host among them. */
export const sitesAreComplete: Rule = function* ({ file }) {
  for (const [name, site] of Object.entries(file.sites)) {
    const path = ['sites', name];
    if (site.artifact === undefined && site.build === undefined) {
      yield atKey(error('no-files', path, 'needs an artifact or a build'));
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

/** Characters that a Dockerfile reads as more than themselves are left out too. */
function isWithin(path: string): boolean {
  const normal = posix.normalize(path);
  return !posix.isAbsolute(normal) && !/^\.\.(?:\/|$)/.test(normal) && !/[$*?[\]\\"]/.test(path);
}

function atKey(finding: Finding): Finding {
  return { ...finding, at: 'key' };
}
