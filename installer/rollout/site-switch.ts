import { posix } from 'node:path';
import type { Host } from '../host/host.ts';
import type { Paths } from '../model/paths.ts';
import { pointLink, releaseFolder, SITE_LINKS, siteFolder } from './site-folders.ts';

/**
 * Serves another release of a site. The one that was served so far stays in reach of pages that are open
 * in a browser. May be repeated after a kill.
 */
export async function switchRelease(
  host: Host,
  paths: Paths,
  change: {
    readonly site: string;
    readonly release: string;
    /** The release that is served now. */
    readonly before: string | undefined;
  },
): Promise<void> {
  const { site, release, before } = change;
  if (before !== undefined && before !== release) {
    await pointLink(host, paths, { site, link: 'previous', release: before });
  }
  // The time says which release was served last.
  await host.run({ argv: ['touch', '--', releaseFolder(paths, site, release)] });
  await pointLink(host, paths, { site, link: 'current', release });
  await flush(host, siteFolder(paths, site));
}

/** From now on the config's wish for the release that was held back counts again. */
export async function releaseHold(host: Host, paths: Paths, site: string): Promise<void> {
  await host.remove(posix.join(siteFolder(paths, site), SITE_LINKS.held));
}

/** On disk, not only in memory. */
export async function flush(host: Host, folder: string): Promise<void> {
  await host.run({ argv: ['sync', '--file-system', '--', folder] });
}
