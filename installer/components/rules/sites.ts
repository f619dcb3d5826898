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
    if (site.canonicalHost !== undefined && !site.hosts.includes(site.canonicalHost)) {
      const message = `${site.canonicalHost} is not among hosts${didYouMean(site.canonicalHost, site.hosts)}`;
      yield error('canonical-host', [...path, 'canonicalHost'], message);
    }
  }
};

function atKey(finding: Finding): Finding {
  return { ...finding, at: 'key' };
}
