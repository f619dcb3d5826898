import { createHash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { AppError } from '../errors.ts';
import { CommandError } from '../host/command-error.ts';
import type { Host } from '../host/host.ts';
import { contextDigest, folderDigest } from '../images/context-digest.ts';
import type { SiteSource } from '../model/site.ts';

/** Grows when the same files make another release, so that every site gets a new one. */
const MAKE = 1;
const DIGITS = 16;

/**
 * Names the release that this source makes now.
 * @throws AppError `config/artifact-unreadable`, `image/no-context`
 */
export async function sourceDigest(here: Host, site: string, source: SiteSource): Promise<string> {
  const content = await contentDigest(here, site, source);
  return createHash('sha256').update(`${MAKE} ${content}`).digest('hex').slice(0, DIGITS);
}

async function contentDigest(here: Host, site: string, source: SiteSource): Promise<string> {
  try {
    switch (source.kind) {
      case 'folder':
        return await folderDigest(here, source.path);
      case 'archive':
        return await fileDigest(source.path);
      case 'image':
        return JSON.stringify([source.image, source.folder]);
      case 'build':
        return await contextDigest(here, source);
    }
  } catch (error) {
    if (!(error instanceof CommandError) && !isSystemError(error)) throw error;
    throw new AppError({
      code: 'config/artifact-unreadable',
      what: `the files of sites.${site} cannot be read`,
      why: error instanceof CommandError ? error.stderr.trim() : error.message,
      hint: `make them readable for the user who runs holdfast, or correct sites.${site}`,
      cause: error,
    });
  }
}

async function fileDigest(path: string): Promise<string> {
  const hash = createHash('sha256');
  for await (const chunk of createReadStream(path)) hash.update(chunk as Buffer);
  return hash.digest('hex');
}

function isSystemError(error: unknown): error is NodeJS.ErrnoException {
  return error instanceof Error && 'syscall' in error;
}

export interface SiteBuild {
  readonly context: string;
  readonly command: string;
  /** Folder within the context. */
  readonly output: string;
  readonly image: string;
  /** The image is ours: Debian's Node, to which npm is added where the command asks for it. */
  readonly isOurs: boolean;
  readonly env: Readonly<Record<string, string>>;
}

/** Debian's npm draws in hundreds of packages: a layer of its own, which the build cache keeps. */
const WITH_NPM =
  'RUN apt-get update && apt-get install -y --no-install-recommends npm && rm -rf /var/lib/apt/lists/*';

/**
 * A build as a Dockerfile: nothing runs as root or on the host, and what the build may depend on is the
 * context, the image and these variables.
 */
export function buildSource(build: SiteBuild): Extract<SiteSource, { kind: 'build' }> {
  const { context, command, output, image, isOurs, env } = build;
  const names = Object.keys(env).sort();
  const recipe = [
    `FROM ${image} AS build`,
    'USER 0:0',
    ...(isOurs && /\bnp[mx]\b/.test(command) ? [WITH_NPM] : []),
    'RUN ["install", "-d", "-o", "1000", "-g", "1000", "/src", "/tmp/home"]',
    'USER 1000:1000',
    'ENV HOME=/tmp/home npm_config_update_notifier=false npm_config_fund=false',
    'WORKDIR /src',
    'COPY --chown=1000:1000 . .',
    ...names.map((name) => `ARG ${name}`),
    `RUN ["sh", "-c", ${JSON.stringify(command)}]`,
    'FROM scratch',
    `COPY --from=build ${JSON.stringify([`/src/${output}/`, '/'])}`,
    '',
  ].join('\n');
  return { kind: 'build', context, recipe, args: env, image };
}

/** A Dockerfile that leaves nothing but that folder of an image. The image itself never runs. */
export function imageRecipe({ image, folder }: Extract<SiteSource, { kind: 'image' }>): string {
  const within = folder.endsWith('/') ? folder : `${folder}/`;
  return `FROM ${image} AS files\nFROM scratch\nCOPY --from=files ${JSON.stringify([within, '/'])}\n`;
}
