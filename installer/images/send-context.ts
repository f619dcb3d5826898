import { posix } from 'node:path';
import { AppError } from '../errors.ts';
import type { Host } from '../host/host.ts';
import { packFiles } from '../host/pack-files.ts';
import { type BuildContext, type BuildSource, digestOf, readContext } from './context-digest.ts';

const OWN_FOLDER = { mode: 0o700, uid: 0, gid: 0 };
const OWN_FILE = { mode: 0o600, uid: 0, gid: 0 };
const SEND_SECONDS = 3_600;

/** The Dockerfile as it is sent; beside the context, since it may come from outside of it. */
const DOCKERFILE = '../Dockerfile';

/**
 * Brings the build context of a service from this machine to another one: what `.dockerignore` lets
 * through and the Dockerfile, into `folder/<digest>`. Files that the context sent before has already are
 * linked instead of sent. Nothing has the final name before it was compared with what was to be sent, so a
 * call that was killed may be repeated.
 *
 * @returns the source as it stands there
 * @throws AppError `image/no-context`, `image/no-dockerfile`, `image/context-changed`
 */
export async function sendContext(
  from: Host,
  to: Host,
  folder: string,
  source: BuildSource,
): Promise<BuildSource> {
  const wanted = await readContext(from, source);
  const digest = digestOf(source, wanted);
  const place = posix.join(folder, digest);
  const sent = sourceAt(place, source);
  if ((await to.stat(place)) !== undefined) return sent;

  const partial = posix.join(folder, 'partial');
  await to.remove(partial, { recursive: true });
  await to.makeDirectory(folder, OWN_FOLDER);
  await to.makeDirectory(partial, OWN_FOLDER);
  const missing = await takeFromEarlier(to, folder, partial, wanted);
  await unpack(to, posix.join(partial, 'context'), packFiles(source.context, missing));
  await to.write(posix.join(partial, 'Dockerfile'), wanted.recipe, OWN_FILE);
  await to.write(posix.join(partial, 'Dockerfile.dockerignore'), wanted.ignore, OWN_FILE);
  const arrived = await readContext(to, sourceAt(partial, source));
  if (digestOf(source, arrived) !== digest) {
    throw new AppError({
      code: 'image/context-changed',
      what: `the build context ${source.context} changed while it was sent to ${to.name}`,
      hint: 'run the same holdfast command again',
    });
  }
  await to.run({ argv: ['mv', '--no-target-directory', partial, place] });
  return sent;
}

/** Removes what was sent into a folder but for the newest context, which the next one builds upon. */
export async function keepOnly(to: Host, folder: string, source: BuildSource): Promise<void> {
  const kept = posix.basename(posix.dirname(source.context));
  for (const name of await to.list(folder)) {
    if (name !== kept) await to.remove(posix.join(folder, name), { recursive: true });
  }
}

function sourceAt(place: string, source: BuildSource): BuildSource {
  return { ...source, context: posix.join(place, 'context'), dockerfile: DOCKERFILE };
}

/**
 * Links what an earlier context has in common with the wanted one.
 * @returns the paths that have to be sent
 */
async function takeFromEarlier(
  to: Host,
  folder: string,
  partial: string,
  wanted: BuildContext,
): Promise<string[]> {
  const context = posix.join(partial, 'context');
  const earlier = (await to.list(folder)).find((name) => /^[0-9a-f]{64}$/.test(name));
  if (earlier === undefined) {
    await to.makeDirectory(context, OWN_FOLDER);
    return wanted.entries.map(({ path }) => path);
  }
  const place = posix.join(folder, earlier);
  await to.run({
    argv: ['cp', '--archive', '--link', posix.join(place, 'context'), context],
    timeoutSeconds: SEND_SECONDS,
  });
  // With the earlier ignore file: what that one let through is all that there is.
  const there = await readContext(to, { context, dockerfile: posix.join(place, 'Dockerfile') });
  const known = new Map(there.entries.map((entry) => [entry.path, entry]));
  const isSame = (entry: BuildContext['entries'][number]): boolean => {
    const other = known.get(entry.path);
    return (
      other?.type === entry.type &&
      other.link === entry.link &&
      other.mode === entry.mode &&
      there.hashes.get(entry.path) === wanted.hashes.get(entry.path)
    );
  };
  const kept = new Set(wanted.entries.filter(isSame).map(({ path }) => path));
  const surplus = there.entries.filter(({ path }) => !kept.has(path));
  if (surplus.length > 0) {
    await to.run({
      argv: ['xargs', '-0', 'rm', '--recursive', '--force', '--'],
      stdin: surplus
        .filter(({ type, path }) => type !== 'd' || !hasKept(kept, path))
        .map(({ path }) => `./${path}\0`)
        .join(''),
      cwd: context,
    });
  }
  return wanted.entries.map(({ path }) => path).filter((path) => !kept.has(path));
}

/** A folder whose mode changed stays for what is in it; tar sets the mode. */
function hasKept(kept: ReadonlySet<string>, folder: string): boolean {
  return [...kept].some((path) => path.startsWith(`${folder}/`));
}

async function unpack(
  to: Host,
  context: string,
  archive: ReturnType<typeof packFiles>,
): Promise<void> {
  await to.run({
    argv: [
      'tar',
      '--extract',
      '--no-same-owner',
      '--preserve-permissions',
      `--directory=${context}`,
    ],
    stdin: archive,
    timeoutSeconds: SEND_SECONDS,
  });
}
