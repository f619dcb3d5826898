import { constants } from 'node:fs';
import {
  chmod,
  type FileHandle,
  lstat,
  mkdir,
  open,
  readdir,
  rename,
  rm,
  unlink,
} from 'node:fs/promises';
import { posix } from 'node:path';
import type { FileAttributes } from './host.ts';
import { isTemporarySiblingOf, LEFTOVER_AGE_SECONDS, temporarySibling } from './temporary-name.ts';

/**
 * Puts `content` at `path` in one step that survives a power cut: readers see the old file or the new one.
 * @throws NodeJS.ErrnoException
 */
export async function replaceFile(
  path: string,
  content: string | Uint8Array,
  attributes: FileAttributes,
): Promise<void> {
  await ensureDirectory(posix.dirname(path));
  await sweepLeftovers(path);
  const temporary = temporarySibling(path);
  const file = await open(temporary, 'wx', 0o600);
  try {
    await fill(file, content, attributes);
    await rename(temporary, path);
  } catch (error) {
    await rm(temporary, { force: true });
    throw error;
  }
  await syncDirectory(posix.dirname(path));
}

/** Owner before mode, because a change of owner clears bits of the mode; both before any content. */
async function fill(
  file: FileHandle,
  content: string | Uint8Array,
  attributes: FileAttributes,
): Promise<void> {
  try {
    await file.chown(attributes.uid, attributes.gid);
    await file.chmod(attributes.mode);
    await file.writeFile(content);
    await file.sync();
  } finally {
    await file.close();
  }
}

/** Removes what a killed writer of the same file left behind. */
async function sweepLeftovers(path: string): Promise<void> {
  const folder = posix.dirname(path);
  for (const name of await readdir(folder)) {
    if (!isTemporarySiblingOf(path, name)) continue;
    const leftover = posix.join(folder, name);
    const age = Date.now() - (await lstat(leftover)).mtimeMs;
    if (age > LEFTOVER_AGE_SECONDS * 1000) await rm(leftover, { force: true });
  }
}

/** Makes the missing folders of `path`, 0755 whatever the umask, the last one with `mode` from its first moment. */
export async function ensureDirectory(path: string, mode = 0o755): Promise<void> {
  try {
    await mkdir(path, mode);
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code === 'ENOENT' && posix.dirname(path) !== path) {
      await ensureDirectory(posix.dirname(path));
      return ensureDirectory(path, mode);
    }
    if (code === 'EEXIST') return;
    throw error;
  }
  await chmod(path, mode);
  await syncDirectory(posix.dirname(path));
}

/** @throws NodeJS.ErrnoException, `ENOTDIR` when something else stands there */
export async function makeDirectoryWith(path: string, attributes: FileAttributes): Promise<void> {
  await ensureDirectory(path, attributes.mode);
  const directory = await open(path, constants.O_RDONLY | constants.O_DIRECTORY);
  try {
    await directory.chown(attributes.uid, attributes.gid);
    await directory.chmod(attributes.mode);
    await directory.sync();
  } finally {
    await directory.close();
  }
}

/** Removes a file, a link, or with `recursive` a folder. Nothing there is no error. */
export async function removeDurably(path: string, recursive: boolean): Promise<void> {
  try {
    if (recursive) await rm(path, { recursive: true });
    else await unlink(path);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return;
    throw error;
  }
  await syncDirectory(posix.dirname(path));
}

async function syncDirectory(path: string): Promise<void> {
  const directory = await open(path, constants.O_RDONLY | constants.O_DIRECTORY);
  try {
    await directory.sync();
  } finally {
    await directory.close();
  }
}
