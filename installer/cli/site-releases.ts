import { realpath, stat } from 'node:fs/promises';
import { resolve } from 'node:path';
import type { Site } from '../components/sites/section.ts';
import { AppError } from '../errors.ts';
import type { Host } from '../host/host.ts';
import type { ResolvedImages } from '../model/images.ts';
import type { SiteRelease, SiteSource } from '../model/site.ts';
import { buildSource, sourceDigest } from '../rollout/site-sources.ts';
import type { LoadedConfig } from './read-config.ts';

/**
 * The release that each site of the config shall show. Sources are on this machine.
 * @throws AppError `config/no-artifact`, `config/artifact-unreadable`, `image/no-context`
 */
export async function siteReleases(
  here: Host,
  { config, folder }: LoadedConfig,
  images: ResolvedImages,
): Promise<Map<string, SiteRelease>> {
  const found = Object.entries(config.sites).map(async ([name, site]) => {
    const source = await sourceOf(name, site, folder, images);
    return [name, { source, release: await sourceDigest(here, name, source) }] as const;
  });
  return new Map(await Promise.all(found));
}

async function sourceOf(
  name: string,
  { artifact, build, buildEnv }: Site,
  folder: string,
  images: ResolvedImages,
): Promise<SiteSource> {
  if (build !== undefined) {
    return buildSource({
      context: resolve(folder, build.context),
      command: build.command,
      output: build.output,
      image: build.image ?? nodeImage(images),
      isOurs: build.image === undefined,
      env: buildEnv,
    });
  }
  const written = resolve(folder, artifact ?? '');
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
