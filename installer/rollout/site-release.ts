import { posix } from 'node:path';
import { Readable } from 'node:stream';
import { AppError } from '../errors.ts';
import type { Host } from '../host/host.ts';
import { buildFolder } from '../images/build.ts';
import { keepOnly, sendContext } from '../images/send-context.ts';
import type { Paths } from '../model/paths.ts';
import type { DesiredSite, SiteSource } from '../model/site.ts';
import { archiveAsTar, folderAsTar } from './site-archive.ts';
import { compressTexts } from './site-compress.ts';
import { imageRecipe, sourceDigest } from './site-sources.ts';

export interface FillContext {
  /** Where the sources are. */
  readonly here: Host;
  /** Where the site is served; the same object when that is here. */
  readonly host: Host;
  readonly paths: Paths;
  readonly onLine: (line: string) => void;
}

/**
 * Fills an empty folder on the host with a release: unpacked or built, checked, readable by everybody,
 * without hidden files, and with compressed copies of its texts.
 * @throws AppError `config/artifact-…`, `image/build-failed`
 */
export async function fillRelease(
  context: FillContext,
  site: DesiredSite,
  folder: string,
): Promise<void> {
  const { here, host } = context;
  await bring(context, site, folder);
  if ((await sourceDigest(here, site.name, site.source)) !== site.release) {
    throw new AppError({
      code: 'config/changed-meanwhile',
      what: `the files of site ${site.name} changed while they were read`,
      why: 'the site was not switched',
      hint: 'run the same command again when nothing writes there any more',
    });
  }
  await refuseForeign(host, site.name, folder);
  await tidy(host, folder);
  await requireFirstPage(host, site.name, folder);
  await compressTexts(host, site, folder);
}

async function bring(
  context: FillContext,
  { name, source }: DesiredSite,
  folder: string,
): Promise<void> {
  const { host } = context;
  switch (source.kind) {
    case 'folder':
      return unpack(host, folder, folderAsTar(source.path));
    case 'archive':
      return unpack(host, folder, Readable.from(archiveAsTar(name, source.path)));
    case 'image':
      return copyOut(context, name, source, folder);
    case 'build':
      return build(context, name, source, folder);
  }
}

/** On the server; a context of another machine is brought there first. */
async function build(
  { here, host, paths, onLine }: FillContext,
  site: string,
  source: Extract<SiteSource, { kind: 'build' }>,
  folder: string,
): Promise<void> {
  const request = { what: `sites.${site}`, ...source, folder };
  if (here === host) return buildFolder(host, request, onLine);
  const builds = posix.join(paths.state, 'builds', `site-${site}`);
  onLine(`sending ${source.context} to ${host.name}`);
  const sent = await sendContext(here, host, builds, source);
  await buildFolder(host, { ...request, context: sent.context }, onLine);
  await keepOnly(host, builds, sent);
}

/** The server pulls the image itself; the build sees nothing of the server. */
async function copyOut(
  { host, paths, onLine }: FillContext,
  site: string,
  source: Extract<SiteSource, { kind: 'image' }>,
  folder: string,
): Promise<void> {
  const context = posix.join(paths.state, 'builds', `site-${site}-nothing`);
  await host.remove(context, { recursive: true });
  await host.makeDirectory(context, { mode: 0o700, uid: 0, gid: 0 });
  const recipe = imageRecipe(source);
  await buildFolder(host, { what: `sites.${site}`, context, recipe, args: {}, folder }, onLine);
  await host.remove(context, { recursive: true });
}

const UNPACK_SECONDS = 3_600;

async function unpack(host: Host, folder: string, tar: Readable): Promise<void> {
  await host.run({
    argv: [
      'tar',
      '--extract',
      '--file=-',
      `--directory=${folder}`,
      '--no-same-owner',
      '--no-same-permissions',
    ],
    stdin: tar,
    timeoutSeconds: UNPACK_SECONDS,
  });
}

/** Looks at what is really there: a build or a folder may hold anything. */
async function refuseForeign(host: Host, site: string, folder: string): Promise<void> {
  const special = await find(host, folder, [
    '!',
    '-type',
    'f',
    '!',
    '-type',
    'd',
    '!',
    '-type',
    'l',
  ]);
  const links = await find(host, folder, ['-type', 'l']);
  const refuse = (path: string, why: string): never => {
    throw new AppError({
      code: 'config/artifact-unsafe',
      what: `the files of site ${site} are refused`,
      why: `${JSON.stringify(path)} ${why}`,
      hint: 'publish nothing but files, folders and links within them',
    });
  };
  for (const path of special) refuse(path, 'is neither a file, a folder nor a link');
  if (links.length === 0) return;
  const { stdout } = await host.run({
    argv: ['xargs', '--null', 'realpath', '--zero', '--canonicalize-missing', '--', folder],
    stdin: links.map((path) => `${posix.join(folder, path)}\0`).join(''),
  });
  const [root = folder, ...targets] = stdout.split('\0').filter((line) => line !== '');
  for (const [index, target] of targets.entries()) {
    if (target === root || target.startsWith(`${root}/`)) continue;
    refuse(links[index] ?? '', 'is a link that leads outside');
  }
}

/** Paths below a folder that pass these tests of `find`. */
async function find(host: Host, folder: string, tests: readonly string[]): Promise<string[]> {
  const { stdout } = await host.run({
    argv: ['find', folder, '-mindepth', '1', ...tests, '-printf', '%P\\0'],
  });
  return stdout.split('\0').filter((path) => path !== '');
}

/**
 * Hidden files go, but for `.well-known`. Every file gets the time of the release: browsers ask by time and size
 * whether a file changed, and tools that pack reproducibly give every release the same time.
 */
async function tidy(host: Host, folder: string): Promise<void> {
  const hidden = ['-name', '.*', '!', '-path', `${folder}/.well-known`, '-prune'];
  await host.run({
    argv: ['find', folder, '-mindepth', '1', ...hidden, '-exec', 'rm', '-rf', '--', '{}', '+'],
  });
  await host.run({ argv: ['chmod', '--recursive', 'u=rwX,go=rX', '--', folder] });
  const touch = ['touch', '--no-dereference', `--date=@${await releaseTime(host, folder)}`];
  await host.run({ argv: ['find', folder, '-exec', ...touch, '--', '{}', '+'] });
}

/**
 * Seconds since 1970: now, but later than every release beside it, since nginx tells times by whole seconds and two
 * releases may be made within one.
 */
async function releaseTime(host: Host, folder: string): Promise<number> {
  const { stdout: now } = await host.run({ argv: ['date', '+%s'] });
  const pages = ['-mindepth', '2', '-maxdepth', '2', '-name', 'index.html'];
  const { stdout: times } = await host.run({
    argv: [
      'find',
      posix.dirname(folder),
      ...pages,
      '!',
      '-path',
      `${folder}/*`,
      '-printf',
      '%T@\\n',
    ],
  });
  const later = times
    .split('\n')
    .filter((line) => line !== '')
    .map((time) => Math.floor(Number(time)) + 1);
  return Math.max(Number(now), ...later);
}

async function requireFirstPage(host: Host, site: string, folder: string): Promise<void> {
  if ((await find(host, folder, ['-maxdepth', '1', '-name', 'index.html'])).length > 0) return;
  throw new AppError({
    code: 'config/artifact-without-index',
    what: `there is no index.html at the top of the files of site ${site}`,
    why: 'the site was not switched',
    hint: `correct sites.${site}.artifact, or build.output: it names the folder that holds index.html`,
  });
}
