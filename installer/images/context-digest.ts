import { createHash, type Hash } from 'node:crypto';
import { posix } from 'node:path';
import { AppError } from '../errors.ts';
import type { Host } from '../host/host.ts';
import { ignoredBy } from './ignore-file.ts';

/** How a service's image is built. `context` is absolute, `dockerfile` absolute or relative to it. */
export interface BuildSource {
  readonly context: string;
  /** `Dockerfile` when absent. */
  readonly dockerfile?: string;
  readonly target?: string;
  readonly args?: Readonly<Record<string, string>>;
  /** The Dockerfile's text, where it is no file. */
  readonly recipe?: string;
}

/**
 * sha256, hex, of everything that a build of this context can depend on: names, types, execute bits and
 * content of the files that `.dockerignore` lets through, the Dockerfile, target and arguments. Times and
 * owners stay out, so that a fresh clone has the digest of the old one.
 *
 * @throws AppError `image/no-context`, `image/no-dockerfile`
 */
export async function contextDigest(host: Host, source: BuildSource): Promise<string> {
  return digestOf(source, await readContext(host, source));
}

/** What a build sees of its context. */
export interface BuildContext {
  readonly recipe: Uint8Array;
  /** The `.dockerignore` that holds for it. */
  readonly ignore: Uint8Array;
  /** By path. */
  readonly entries: readonly ContextEntry[];
  /** sha256, hex, by path of the file. */
  readonly hashes: ReadonlyMap<string, string>;
}

export interface ContextEntry {
  /** As find(1) says it: `f`, `d`, `l`. */
  readonly type: string;
  readonly mode: number;
  /** Relative to the context. */
  readonly path: string;
  /** Where a link leads. */
  readonly link: string;
}

/** @throws AppError `image/no-context`, `image/no-dockerfile` */
export async function readContext(host: Host, source: BuildSource): Promise<BuildContext> {
  const dockerfile = dockerfileOf(source);
  const recipe =
    source.recipe === undefined
      ? await host.read(dockerfile)
      : new TextEncoder().encode(source.recipe);
  if ((await host.stat(source.context))?.type !== 'directory') {
    throw new AppError({
      code: 'image/no-context',
      what: `the build context ${source.context} is no folder`,
      hint: 'correct build.context in config.yaml; it is relative to the config file',
    });
  }
  if (recipe === undefined) {
    throw new AppError({
      code: 'image/no-dockerfile',
      what: `there is no ${dockerfile}`,
      hint: 'correct build.dockerfile in config.yaml; it is relative to build.context',
    });
  }
  // An ignore file of the Dockerfile's own goes before that of the context.
  const ignore =
    (await host.read(`${dockerfile}.dockerignore`)) ??
    (await host.read(posix.join(source.context, '.dockerignore'))) ??
    new Uint8Array();
  const entries = await listFolder(
    host,
    source.context,
    ignoredBy(new TextDecoder().decode(ignore)),
  );
  return { recipe, ignore, entries, hashes: await hashesOf(host, source.context, entries) };
}

export function digestOf(source: BuildSource, { recipe, entries, hashes }: BuildContext): string {
  const hash = createHash('sha256');
  hash.update(JSON.stringify({ target: source.target, args: sortedArgs(source.args) }));
  hash.update(recipe);
  addEntries(hash, entries, hashes);
  return hash.digest('hex');
}

/** sha256, hex, of everything in a folder: names, types, execute bits and content, without times and owners. */
export async function folderDigest(host: Host, folder: string): Promise<string> {
  const entries = await listFolder(host, folder, () => false);
  const hash = createHash('sha256');
  addEntries(hash, entries, await hashesOf(host, folder, entries));
  return hash.digest('hex');
}

function addEntries(
  hash: Hash,
  entries: BuildContext['entries'],
  hashes: BuildContext['hashes'],
): void {
  for (const { type, mode, path, link } of entries) {
    const executable = type === 'f' && (mode & 0o111) !== 0;
    hash.update(JSON.stringify([type, executable, path, link, hashes.get(path)]));
  }
}

async function hashesOf(
  host: Host,
  folder: string,
  entries: BuildContext['entries'],
): Promise<Map<string, string>> {
  const files = entries.filter(({ type }) => type === 'f').map(({ path }) => path);
  return fileHashes(host, folder, files);
}

export function dockerfileOf(source: BuildSource): string {
  return posix.resolve(source.context, source.dockerfile ?? 'Dockerfile');
}

export function sortedArgs(args: BuildSource['args']): [string, string][] {
  return Object.entries(args ?? {}).sort(([left], [right]) => (left < right ? -1 : 1));
}

/** Everything below a folder but what is ignored, sorted by path. */
async function listFolder(
  host: Host,
  folder: string,
  isIgnored: (path: string) => boolean,
): Promise<ContextEntry[]> {
  const { stdout } = await host.run({
    argv: ['find', folder, '-mindepth', '1', '-printf', '%y\\0%m\\0%P\\0%l\\0'],
  });
  const fields = stdout.split('\0');
  const entries: ContextEntry[] = [];
  for (let index = 0; index + 3 < fields.length; index += 4) {
    const [type = '', mode = '', path = '', link = ''] = fields.slice(index, index + 4);
    if (!isIgnored(path)) entries.push({ type, mode: Number.parseInt(mode, 8), path, link });
  }
  return entries.sort((left, right) => (left.path < right.path ? -1 : 1));
}

async function fileHashes(
  host: Host,
  context: string,
  paths: readonly string[],
): Promise<Map<string, string>> {
  if (paths.length === 0) return new Map();
  const { stdout } = await host.run({
    argv: ['xargs', '-0', 'sha256sum', '--zero', '--'],
    stdin: paths.map((path) => `./${path}\0`).join(''),
    cwd: context,
  });
  const lines = stdout.split('\0').filter((line) => line !== '');
  return new Map(lines.map((line) => [line.slice(68), line.slice(0, 64)]));
}
