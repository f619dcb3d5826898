import { makeRelease, removeReleases, switchSite } from '../../installer/apply/sites.ts';
import type { Host } from '../../installer/host/host.ts';
import { LocalHost } from '../../installer/host/local.ts';
import type { Paths } from '../../installer/model/paths.ts';
import type { DesiredSite, SiteSource } from '../../installer/model/site.ts';
import { siteOperations } from '../../installer/plan/sites.ts';
import { observeSites } from '../../installer/rollout/site-folders.ts';
import { fillRelease } from '../../installer/rollout/site-release.ts';
import { sourceDigest } from '../../installer/rollout/site-sources.ts';

export interface Publishing {
  readonly paths: Paths;
  /** Image that compresses texts; none is needed for a site without long ones. */
  readonly toolImage?: string;
  readonly host?: Host;
  readonly keep?: number;
}

/** What apply does for one site of a config, without what it does besides. */
export async function publishSite(
  { paths, toolImage = '', host = new LocalHost(), keep = 3 }: Publishing,
  name: string,
  source: SiteSource,
): Promise<string> {
  const here = new LocalHost();
  const release = await sourceDigest(here, name, source);
  const site: DesiredSite = { name, source, release, keep, toolImage };
  const observed = { sites: await observeSites(here, paths) };
  const { releases, switches, removals } = siteOperations([site], observed.sites);
  const run = {
    host,
    paths,
    desired: { sites: [site] } as never,
    observed: observed as never,
    releases: {
      fill: (each: DesiredSite, folder: string) =>
        fillRelease({ here: host, host, paths, onLine: () => undefined }, each, folder),
    },
  };
  for (const operation of [...releases, ...switches, ...removals]) {
    if (operation.kind === 'make-release') await makeRelease(run, operation);
    if (operation.kind === 'switch-site') await switchSite(run, operation);
    if (operation.kind === 'remove-releases') await removeReleases(run, operation);
  }
  return release;
}
