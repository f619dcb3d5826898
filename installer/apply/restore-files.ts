import type { Desired } from '../model/desired.ts';
import { sha256 } from '../plan/files.ts';
import type { ApplyContext } from './context.ts';
import type { Generation } from './generation.ts';
import type { ManifestKeeper } from './manifest.ts';
import { attributesOf } from './write-files.ts';

type FilesRun = Pick<ApplyContext, 'host' | 'paths'> & {
  readonly manifest: ManifestKeeper;
  readonly desired: Pick<Desired, 'files'>;
};

/**
 * Puts the files of the last complete apply back, and removes those that `desired` has beyond them.
 * @returns the paths that were put back or removed
 */
export async function restoreFiles(run: FilesRun, generation: Generation): Promise<string[]> {
  const { host, manifest, paths, desired } = run;
  const known = { ...manifest.current.files, ...manifest.current.intents };
  const toWrite = [...generation.files.values()].filter((file) => {
    const now = desired.files.get(file.path);
    return known[file.path] !== sha256(file.content) || now?.mode !== file.mode;
  });
  const toRemove = Object.keys(known).filter(
    (path) =>
      path.startsWith(`${paths.stack}/`) && desired.files.has(path) && !generation.files.has(path),
  );
  await manifest.update({
    files: known,
    intents: Object.fromEntries(toWrite.map(({ path, content }) => [path, sha256(content)])),
  });
  for (const file of toWrite) await host.write(file.path, file.content, attributesOf(file));
  for (const path of toRemove) await host.remove(path);
  const files = { ...known, ...manifest.current.intents };
  for (const path of toRemove) delete files[path];
  await manifest.update({ files, intents: {} });
  return [...toWrite.map(({ path }) => path), ...toRemove];
}
