import { realpath, stat } from 'node:fs/promises';
import type { Config } from '../components/sections.ts';
import type { Site } from '../components/sites/section.ts';
import { AppError } from '../errors.ts';
import type { Host } from '../host/host.ts';
import type { ResolvedImages } from '../model/images.ts';
import type { Paths } from '../model/paths.ts';
import type { SiteRelease, SiteSource } from '../model/site.ts';
import { observeSites, releaseFolder } from '../rollout/site-folders.ts';
import { buildSource, sourceDigest } from '../rollout/site-sources.ts';
import type { LoadedConfig } from './read-config.ts';

/**
 * The release that each site of the config shall show. Sources are on this machine.
 * @throws AppError `config/no-artifact`, `config/artifact-unreadable`, `image/no-context`
 */
export async function siteReleases(
  here: Host,
  { config, pathOf }: LoadedConfig,
  images: ResolvedImages,
): Promise<Map<string, SiteRelease>> {
  const found = Object.entries(config.sites).map(async ([name, site]) => {
    const source = await sourceOf(name, site, pathOf, images);
    return [name, { source, release: await sourceDigest(here, name, source) }] as const;
  });
  return new Map(await Promise.all(found));
}

/** What each site shows now, for a config whose sources stand elsewhere. */
export async function servedReleases(
  host: Host,
  paths: Paths,
  { sites }: Config,
): Promise<Map<string, SiteRelease>> {
  const observed = await observeSites(host, paths);
  return new Map(
    Object.keys(sites).map((name) => {
      const release = observed.get(name)?.current;
      if (release === undefined) {
        throw new AppError({
          code: 'config/no-artifact',
          what: `site ${name} shows no release on ${host.name}, and its files stand where the config was applied from`,
          hint: 'holdfast apply, from there',
        });
      }
      return [
        name,
        { release, source: { kind: 'folder', path: releaseFolder(paths, name, release) } },
      ];
    }),
  );
}

async function sourceOf(
  name: string,
  { artifact, image, build, buildEnv }: Site,
  pathOf: LoadedConfig['pathOf'],
  images: ResolvedImages,
): Promise<SiteSource> {
  if (build !== undefined) {
    return buildSource({
      context: pathOf(build.context),
      command: build.command,
      output: build.output,
      image: build.image ?? nodeImage(images),
      isOurs: build.image === undefined,
      env: buildEnv,
    });
  }
  if (image !== undefined) {
    return { kind: 'image', image: image.reference, folder: image.folder };
  }
  const written = pathOf(artifact ?? '');
  const found = await stat(written).catch((cause: unknown) => {
    throw new AppError({
      code: 'config/no-artifact',
      what: `sites.${name}.artifact: there is no ${written}`,
      hint: 'build the site first, or correct the path, which starts from the folder of the config file',
      cause,
    });
  });
  return { kind: found.isDirectory() ? 'folder' : 'archive', path: await realpath(written) };
}

function nodeImage({ platform }: ResolvedImages): string {
  const node = platform.node;
  if (node !== undefined && 'reference' in node) return node.reference;
  throw new AppError({
    code: 'image/unavailable',
    what: 'the Node image, in which sites are built, cannot be had',
    why: node?.unavailable ?? 'nothing asked for it',
    hint: 'name another one in build.image, or run `holdfast doctor` to see which sources of images answer',
  });
}
