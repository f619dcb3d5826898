import type { Contribution } from '../../model/contribution.ts';
import type { DesiredSite, SiteHost } from '../../model/site.ts';
import { engineName } from '../../model/stack.ts';
import { decodedPath } from '../../model/url-path.ts';
import type { Component, ComponentInput } from '../component.ts';
import { edgeImage } from '../http/waf.ts';
import { imageNeed, requiredImage } from '../platform-image.ts';
import { normalisePath } from '../rules/resolve-service.ts';
import type { Config } from '../sections.ts';
import type { Site } from './section.ts';

/** Static files that nginx serves: which release, on which hosts, and how long browsers keep what. */
export const sites: Component = {
  id: 'sites',
  enabled: (config) => Object.keys(config.sites).length > 0,

  needs: (config) => ({
    hosts: Object.entries(config.sites).flatMap(([name, { hosts }]) =>
      hosts.map((host) => ({ host, usedBy: `sites.${name}.hosts` })),
    ),
    images: buildsOnNode(config) ? [imageNeed(config, 'node')] : [],
  }),

  contribute: (input): Contribution => {
    const entries = Object.entries(input.config.sites);
    const downloads = entries.flatMap(([, site]) => site.downloads?.volume ?? []);
    return {
      sites: entries.map(([name]) => desiredSite(input, name)),
      siteHosts: entries.flatMap(([name, site]) => siteHosts(name, site)),
      backups: [...new Set(downloads)]
        .filter((volume) => isBackedUp(input.config, volume) && !belongsToService(input, volume))
        .map((name) => ({
          kind: 'volume',
          name,
          volume: engineName(input.config.project, name),
          service: 'nginx',
        })),
    };
  },
};

/** Whether a site is built in our own Node image. */
function buildsOnNode(config: Config): boolean {
  return Object.values(config.sites).some(
    ({ build }) => build !== undefined && build.image === undefined,
  );
}

function desiredSite(input: ComponentInput, name: string): DesiredSite {
  const release = input.siteReleases.get(name);
  if (release === undefined) throw new Error(`the release of site ${name} was not looked for`);
  return {
    name,
    ...release,
    keep: input.config.updates.rollback.keepReleases,
    toolImage: requiredImage(input, edgeImage(input.config)).reference,
  };
}

function siteHosts(name: string, site: Site): SiteHost[] {
  const { canonicalHost, downloads, cache } = site;
  return site.hosts.map((host) => ({
    site: name,
    host,
    redirectTo: canonicalHost === host ? undefined : canonicalHost,
    spa: site.spa,
    cache: {
      html: cacheControl(cache.html),
      assets: cacheControl(cache.assets, ', immutable'),
      default: cacheControl(cache.default),
    },
    downloads: downloads && {
      path: normalisePath(decodedPath(downloads.path) ?? downloads.path),
      volume: downloads.volume,
      cache: cacheControl(downloads.expires),
    },
  }));
}

/** `time` is `no-cache` or seconds. */
function cacheControl(time: 'no-cache' | number, more = ''): string {
  return time === 'no-cache' ? time : `public, max-age=${time}${more}`;
}

function isBackedUp(config: Config, volume: string): boolean {
  return config.backups.jobs.some(
    ({ source }) => source.kind === 'volume' && source.name === volume,
  );
}

/** Then the service contributes it. */
function belongsToService({ config }: ComponentInput, volume: string): boolean {
  return [...Object.values(config.services), ...Object.values(config.accessories)].some(
    ({ volumes }) => volumes.some(({ name }) => name === volume),
  );
}
