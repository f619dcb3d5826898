import type { Operation } from '../model/operation.ts';
import type { DesiredSite } from '../model/site.ts';
import {
  releaseFolder,
  removeUnfinished,
  siteFolder,
  unfinishedFolder,
} from '../rollout/site-folders.ts';
import { flush, releaseHold, switchRelease } from '../rollout/site-switch.ts';
import type { Run } from './run.ts';

type OperationOf<Kind extends Operation['kind']> = Extract<Operation, { kind: Kind }>;

/** Beside what is served; it gets its name once it is whole. */
export async function makeRelease(
  { host, paths, releases, desired }: Pick<Run, 'host' | 'paths' | 'releases' | 'desired'>,
  { site: name, release }: OperationOf<'make-release'>,
): Promise<void> {
  const complete = releaseFolder(paths, name, release);
  if ((await host.stat(complete)) !== undefined) return;
  await removeUnfinished(host, paths, name);
  const folder = unfinishedFolder(paths, name, release);
  await host.makeDirectory(folder, { mode: 0o755, uid: 0, gid: 0 });
  try {
    await releases.fill(desiredSite(desired.sites, name), folder);
  } catch (error) {
    await host.remove(folder, { recursive: true });
    throw error;
  }
  await flush(host, folder);
  await host.run({ argv: ['mv', '--no-target-directory', '--', folder, complete] });
  await flush(host, complete);
}

export async function switchSite(
  { host, paths, observed }: Pick<Run, 'host' | 'paths' | 'observed'>,
  { site, release }: OperationOf<'switch-site'>,
): Promise<void> {
  const before = observed.sites.get(site)?.current;
  await releaseHold(host, paths, site);
  await switchRelease(host, paths, { site, release, before });
}

export async function removeReleases(
  { host, paths }: Pick<Run, 'host' | 'paths'>,
  { site, releases }: OperationOf<'remove-releases'>,
): Promise<void> {
  for (const release of releases) {
    await host.remove(releaseFolder(paths, site, release), { recursive: true });
  }
}

export async function removeSite(
  { host, paths }: Pick<Run, 'host' | 'paths'>,
  { site }: OperationOf<'remove-site'>,
): Promise<void> {
  await host.remove(siteFolder(paths, site), { recursive: true });
}

/** @returns names of the sites that show again what they showed before this run */
export async function switchSitesBack(run: Run): Promise<string[]> {
  const back: string[] = [];
  for (const { name, release } of run.desired.sites) {
    const before = run.observed.sites.get(name)?.current;
    if (before === undefined || !run.done.includes(`switch-site:${name}`)) continue;
    await switchRelease(run.host, run.paths, { site: name, release: before, before: release });
    back.push(name);
  }
  return back;
}

function desiredSite(sites: readonly DesiredSite[], name: string): DesiredSite {
  const site = sites.find((each) => each.name === name);
  if (site === undefined) throw new Error(`the plan makes a release of ${name}, which is no site`);
  return site;
}
