import { createHash } from 'node:crypto';
import { posix } from 'node:path';
import { readManifest } from '../apply/manifest.ts';
import { readText } from '../apply/read-text.ts';
import type { Config } from '../components/sections.ts';
import { AppError } from '../errors.ts';
import type { Host } from '../host/host.ts';
import type { Paths } from '../model/paths.ts';
import { configDigest, type LoadedConfig, parseConfig, readConfig } from './read-config.ts';

/** Root only: a private key may be among the files. */
const PRIVATE_FOLDER = { mode: 0o700, uid: 0, gid: 0 } as const;
const PRIVATE_FILE = { mode: 0o600, uid: 0, gid: 0 } as const;

/**
 * The config for a command that changes one thing of what is in force, such as the number of replicas:
 * the file of `--config`, when one is named; the server's own file while it is what was applied; else the copy that
 * the last apply kept, which may have come from another machine.
 * @throws AppError `config/…`, `usage/nothing-applied`
 */
export async function configInForce(
  named: string | undefined,
  { host, paths }: { readonly host: Host; readonly paths: Paths },
): Promise<LoadedConfig> {
  if (named !== undefined) return readConfig(named);
  const { configDigest: inForce } = await readManifest(host, paths.manifest);
  const isHere = host.name === 'localhost';
  const own = isHere && (await host.stat(paths.config)) !== undefined;
  if (own && (inForce === undefined || (await configDigest(paths.config)) === inForce)) {
    return readConfig(paths.config);
  }
  const kept = await readKept(host, paths);
  if (kept !== undefined && kept.digest === inForce) return kept;
  // Applied by a version that kept no copy.
  if (own) return readConfig(paths.config);
  throw new AppError({
    code: 'usage/nothing-applied',
    what: `nothing has been applied to ${host.name} yet`,
    hint: 'holdfast apply',
  });
}

/**
 * Keeps the config and the small files that it names on the server. Build contexts and sites are not among
 * them: what was made of those is there.
 */
export async function keepConfig(
  { host, paths }: { readonly host: Host; readonly paths: Paths },
  loaded: LoadedConfig,
  sources: Host,
): Promise<void> {
  await host.makeDirectory(appliedFolder(paths), PRIVATE_FOLDER);
  const names = namedFiles(loaded.config);
  for (const name of names) {
    const content = await sources.read(loaded.pathOf(name));
    // What is needed was read and checked by the rendering before.
    if (content !== undefined) await host.write(keptFile(paths, name), content, PRIVATE_FILE);
  }
  await host.write(keptConfig(paths), loaded.text, PRIVATE_FILE);
  const wanted = [keptConfig(paths), ...names.map((name) => keptFile(paths, name))];
  for (const name of await host.list(appliedFolder(paths))) {
    const path = posix.join(appliedFolder(paths), name);
    if (!wanted.includes(path)) await host.remove(path);
  }
}

/**
 * The config that is in force with the small files that it names as the last apply kept them: the originals may have
 * been renewed, or removed when they had done their work. The originals where a version that kept none has applied.
 */
export async function withKeptFiles(
  host: Host,
  paths: Paths,
  loaded: LoadedConfig,
): Promise<LoadedConfig> {
  for (const name of namedFiles(loaded.config)) {
    if ((await host.stat(keptFile(paths, name))) === undefined) return loaded;
  }
  return { ...loaded, pathOf: (written) => keptFile(paths, written), isKept: true };
}

/** The copy that the last apply kept, or that a recovery kit brought; undefined where there is none. */
export async function readKept(host: Host, paths: Paths): Promise<LoadedConfig | undefined> {
  const text = await readText(host, keptConfig(paths));
  return text === undefined ? undefined : parseKept(paths, text);
}

/** The same, but undefined where it is this one to the letter too: reading a config takes a tenth of a second. */
export async function readOtherKept(
  host: Host,
  paths: Paths,
  { text: own }: Pick<LoadedConfig, 'text'>,
): Promise<LoadedConfig | undefined> {
  const text = await readText(host, keptConfig(paths));
  return text === undefined || text === own ? undefined : parseKept(paths, text);
}

function parseKept(paths: Paths, text: string): LoadedConfig {
  return {
    ...parseConfig(Buffer.from(text), keptConfig(paths)),
    pathOf: (written) => keptFile(paths, written),
    isKept: true,
  };
}

/** Small files that a config names, as it writes their paths. */
export function namedFiles({ services, tls }: Config): string[] {
  const seeds = Object.values(services).flatMap(({ seed }) =>
    seed === undefined ? [] : [seed.file],
  );
  const { files, caFile } = tls;
  const given = files === undefined ? [] : [files.certificate, files.key];
  return [...seeds, ...given, ...(caFile === undefined ? [] : [caFile])];
}

function appliedFolder(paths: Paths): string {
  return posix.join(paths.state, 'applied');
}

function keptConfig(paths: Paths): string {
  return posix.join(appliedFolder(paths), 'config.yaml');
}

/** By the path as the config writes it: two files may have the same name. */
function keptFile(paths: Paths, written: string): string {
  const digest = createHash('sha256').update(written).digest('hex').slice(0, 16);
  return posix.join(appliedFolder(paths), `${digest}.file`);
}
