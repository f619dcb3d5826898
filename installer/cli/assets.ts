import { readdir, readFile } from 'node:fs/promises';
import { join, relative } from 'node:path';
import type { Assets } from '../render/template.ts';

const FOLDERS = ['compose', 'templates', 'nginx'];

/** All text assets of the package, by path relative to its root. */
export async function loadAssets(packageRoot: string): Promise<Assets> {
  const found = await Promise.all(
    FOLDERS.map(async (folder) => {
      const entries = await readdir(join(packageRoot, folder), {
        recursive: true,
        withFileTypes: true,
      });
      return Promise.all(
        entries
          .filter((entry) => entry.isFile())
          .map(async (entry) => {
            const path = join(entry.parentPath, entry.name);
            return [relative(packageRoot, path), await readFile(path, 'utf8')] as const;
          }),
      );
    }),
  );
  return new Map(found.flat());
}
