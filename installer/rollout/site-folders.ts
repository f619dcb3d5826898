import { posix } from 'node:path';
import type { Host } from '../host/host.ts';
import type { Paths } from '../model/paths.ts';
import type { ObservedSite } from '../model/site.ts';

/** Names below the folder of a site. nginx knows `current` and `previous`. */
export const SITE_LINKS = { current: 'current', previous: 'previous', held: 'held' } as const;
type Link = keyof typeof SITE_LINKS;
const UNFINISHED = '.new-';

export function siteFolder(paths: Paths, site: string): string {
  return posix.join(paths.sites, site);
}

export function releaseFolder(paths: Paths, site: string, release: string): string {
  return posix.join(paths.sites, site, 'releases', release);
}

/** A release on its way; never served, and removed when it is made anew. */
export function unfinishedFolder(paths: Paths, site: string, release: string): string {
  return releaseFolder(paths, site, `${UNFINISHED}${release}`);
}

/** What runs that were killed left of releases. */
export async function removeUnfinished(host: Host, paths: Paths, site: string): Promise<void> {
  const folder = releaseFolder(paths, site, '');
  for (const name of await host.list(folder)) {
    if (name.startsWith(UNFINISHED)) {
      await host.remove(posix.join(folder, name), { recursive: true });
    }
  }
}

/** What stands of all sites on a server, by name. */
export async function observeSites(host: Host, paths: Paths): Promise<Map<string, ObservedSite>> {
  if ((await host.stat(paths.sites)) === undefined) return new Map();
  const { stdout } = await host.run({
    argv: [
      'find',
      paths.sites,
      '-mindepth',
      '1',
      '-maxdepth',
      '3',
      '(',
      '-type',
      'd',
      '-o',
      '-type',
      'l',
      ')',
      '-printf',
      '%P\\0%T@\\0%l\\0',
    ],
  });
  const fields = stdout.split('\0');
  const found = new Map<string, Found>();
  for (let index = 0; index + 2 < fields.length; index += 3) {
    const [path = '', time = '', link = ''] = fields.slice(index, index + 3);
    const [site = '', second, release] = path.split('/');
    const entry: Found = found.get(site) ?? { links: new Map(), releases: [] };
    found.set(site, entry);
    if (release !== undefined && second === 'releases' && !release.startsWith('.')) {
      entry.releases.push({ release, time: Number(time) });
    } else if (second !== undefined && release === undefined && link !== '') {
      entry.links.set(second, posix.basename(link));
    }
  }
  return new Map([...found].map(([site, entry]) => [site, observedSite(entry)]));
}

interface Found {
  readonly links: Map<string, string>;
  readonly releases: { readonly release: string; readonly time: number }[];
}

function observedSite({ links, releases }: Found): ObservedSite {
  const names = releases.toSorted((a, b) => b.time - a.time).map(({ release }) => release);
  const target = (link: Link): string | undefined => links.get(SITE_LINKS[link]);
  const present = (link: Link): string | undefined =>
    names.find((release) => release === target(link));
  return {
    current: present('current'),
    previous: present('previous'),
    held: target('held'),
    releases: names,
  };
}

/** Points a link of a site at a release in one step: whoever asks sees the old one or the new one. */
export async function pointLink(
  host: Host,
  paths: Paths,
  { site, link, release }: { readonly site: string; readonly link: Link; readonly release: string },
): Promise<void> {
  const path = posix.join(siteFolder(paths, site), SITE_LINKS[link]);
  const beside = `${path}.new`;
  await host.run({
    argv: ['ln', '--symbolic', '--force', '--no-dereference', '--', `releases/${release}`, beside],
  });
  await host.run({ argv: ['mv', '--no-target-directory', '--', beside, path] });
}
