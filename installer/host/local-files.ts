import { lstat, readdir, readFile } from 'node:fs/promises';
import { makeDirectoryWith, removeDurably, replaceFile } from './durable.ts';
import { type FileAction, fileError } from './file-error.ts';
import type { FileAttributes, FileStat } from './host.ts';
import { isTemporary } from './temporary-name.ts';

/** Files of this machine; the methods are those of {@link import('./host.ts').Host}. */
export class LocalFiles {
  readonly name = 'localhost';

  async read(path: string): Promise<Uint8Array | undefined> {
    return this.#explain('read', path, undefinedWhenAbsent(readFile(path)));
  }

  async write(
    path: string,
    content: string | Uint8Array,
    attributes: FileAttributes,
  ): Promise<void> {
    await this.#explain('write', path, replaceFile(path, content, attributes));
  }

  async stat(path: string): Promise<FileStat | undefined> {
    const found = await this.#explain('inspect', path, undefinedWhenAbsent(lstat(path)));
    return (
      found && {
        type: found.isFile() ? 'file' : found.isDirectory() ? 'directory' : 'other',
        size: found.size,
        mode: found.mode & 0o7777,
        uid: found.uid,
        gid: found.gid,
      }
    );
  }

  async makeDirectory(path: string, attributes: FileAttributes): Promise<void> {
    await this.#explain('create folder', path, makeDirectoryWith(path, attributes));
  }

  async remove(path: string, options: { readonly recursive?: boolean } = {}): Promise<void> {
    await this.#explain('remove', path, removeDurably(path, options.recursive ?? false));
  }

  async list(path: string): Promise<string[]> {
    const names = await this.#explain('list', path, undefinedWhenAbsent(readdir(path)));
    return (names ?? []).filter((name) => !isTemporary(name)).sort();
  }

  async #explain<T>(action: FileAction, path: string, work: Promise<T>): Promise<T> {
    try {
      return await work;
    } catch (error) {
      const { code, message } = error as NodeJS.ErrnoException;
      if (code === undefined) throw error;
      throw fileError(this.name, action, path, { code, message });
    }
  }
}

async function undefinedWhenAbsent<T>(work: Promise<T>): Promise<T | undefined> {
  try {
    return await work;
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code === 'ENOENT' || code === 'ENOTDIR') return undefined;
    throw error;
  }
}
