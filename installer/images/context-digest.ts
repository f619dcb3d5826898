import { createHash } from 'node:crypto';
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
}

/**
 * sha256, hex, of everything that a build of this context can depend on: names, types, execute bits and
 * content of the files that `.dockerignore` lets through, the Dockerfile, target and arguments. Times and
 * owners stay out, so that a fresh clone has the digest of the old one.
 *
 * @throws AppError `image/no-context`, `image/no-dockerfile`
 */
export async function contextDigest(host: Host, source: BuildSource): Promise<string> {
  const dockerfile = dockerfileOf(source);
  const recipe = await host.read(dockerfile);
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
  const entries = await listContext(host, source, dockerfile);
  const contents = await fileHashes(
    host,
    source.context,
    entries.filter((entry) => entry.type === 'f').map((entry) => entry.path),
  );
  const hash = createHash('sha256');
  hash.update(JSON.stringify({ target: source.target, args: sortedArgs(source.args) }));
  hash.update(recipe);
  for (const { type, mode, path, link } of entries) {
    const executable = type === 'f' && (mode & 0o111) !== 0;
    hash.update(JSON.stringify([type, executable, path, link, contents.get(path)]));
  }
  return hash.digest('hex');
}

export function dockerfileOf(source: BuildSource): string {
  return posix.resolve(source.context, source.dockerfile ?? 'Dockerfile');
}

export function sortedArgs(args: BuildSource['args']): [string, string][] {
  return Object.entries(args ?? {}).sort(([left], [right]) => (left < right ? -1 : 1));
}

interface Entry {
  readonly type: string;
  readonly mode: number;
  readonly path: string;
  readonly link: string;
}

async function listContext(
  host: Host,
  { context }: BuildSource,
  dockerfile: string,
): Promise<Entry[]> {
  // An ignore file of the Dockerfile's own goes before that of the context.
  const ignoreText =
    (await host.read(`${dockerfile}.dockerignore`)) ??
    (await host.read(posix.join(context, '.dockerignore')));
  const isIgnored = ignoredBy(new TextDecoder().decode(ignoreText ?? new Uint8Array()));
  const { stdout } = await host.run({
    argv: ['find', context, '-mindepth', '1', '-printf', '%y\\0%m\\0%P\\0%l\\0'],
  });
  const fields = stdout.split('\0');
  const entries: Entry[] = [];
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
