import { createReadStream } from 'node:fs';
import { readdir, rmdir, stat, unlink } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import type { Readable } from 'node:stream';
import { AppError } from '../../errors.ts';
import { FileWriter, PARTIAL } from './file-writer.ts';
import type { ByteRange, Store, StoredFile } from './store.ts';
import { STORE_MARK, type StoreMark } from './store-mark.ts';

/** A store in a folder of this machine: a file is written beside, fsynced and renamed. */
export class DirectoryStore implements Store {
  readonly description: string;
  readonly #root: string;
  readonly #mark: StoreMark | undefined;

  /** @param mark refuses the folder of another disk; without it any folder will do, as for reading a copied one */
  constructor(root: string, mark?: StoreMark) {
    this.#root = root;
    this.#mark = mark;
    this.description = `directory ${root}`;
  }

  async put(key: string, body: AsyncIterable<Uint8Array>): Promise<void> {
    const path = this.#path(key);
    await this.#explain(`store ${key}`, async () => {
      await this.#mark?.settle();
      const writer = await FileWriter.open(path);
      try {
        for await (const chunk of body) await writer.write(chunk);
        await writer.commit();
      } catch (error) {
        await writer.abandon();
        throw error;
      }
    });
  }

  async putSmall(key: string, content: Uint8Array): Promise<void> {
    await this.put(key, toAsync(content));
  }

  async get(key: string, range?: ByteRange): Promise<Readable> {
    const path = this.#path(key);
    const found = await this.head(key);
    if (found === undefined) throw missing(this.description, key);
    if (range !== undefined && range.from >= range.to) return emptyStream();
    return createReadStream(path, {
      highWaterMark: 64 * 1024,
      ...(range === undefined ? {} : { start: range.from, end: range.to - 1 }),
    });
  }

  async head(key: string): Promise<StoredFile | undefined> {
    return await this.#explain(`look at ${key}`, async () => {
      await this.#mark?.requireSame();
      return await this.#stat(key);
    });
  }

  async #stat(key: string): Promise<StoredFile | undefined> {
    return await this.#explain(`look at ${key}`, async () => {
      try {
        const found = await stat(this.#path(key));
        return found.isFile() ? { key, size: found.size, storedAt: found.mtime } : undefined;
      } catch (error) {
        if (isMissing(error)) return undefined;
        throw error;
      }
    });
  }

  async *list(prefix: string): AsyncGenerator<StoredFile> {
    const folder = prefix.slice(0, prefix.lastIndexOf('/') + 1);
    await this.#explain(`list ${folder}`, async () => this.#mark?.requireSame());
    for await (const key of this.#walk(folder)) {
      if (!key.startsWith(prefix) || key.includes(PARTIAL) || key === STORE_MARK) continue;
      const found = await this.#stat(key);
      if (found !== undefined) yield found;
    }
  }

  async delete(keys: readonly string[]): Promise<void> {
    await this.#explain('delete', async () => {
      await this.#mark?.requireSame();
      for (const key of keys) {
        await unlink(this.#path(key)).catch(ignoreMissing);
        await this.#removeEmptyFolders(dirname(key));
      }
    });
  }

  async abortUploads(
    prefix: string,
    isStale: (upload: { readonly key: string; readonly startedAt: Date }) => boolean,
  ): Promise<number> {
    let ended = 0;
    await this.#explain('look for what was left', async () => this.#mark?.requireSame());
    for await (const key of this.#walk(prefix)) {
      if (!key.includes(PARTIAL)) continue;
      const found = await this.#stat(key);
      if (found === undefined || !isStale({ key, startedAt: found.storedAt })) continue;
      await this.delete([key]);
      ended += 1;
    }
    return ended;
  }

  close(): void {
    // Nothing is held open between calls.
  }

  #path(key: string): string {
    const parts = key.split('/');
    if (parts.some((part) => part === '' || part === '.' || part === '..')) {
      throw new RangeError(`not a key: ${key}`);
    }
    return join(this.#root, ...parts);
  }

  async *#walk(folder: string): AsyncGenerator<string> {
    const entries = await this.#explain(`list ${folder}`, async () => {
      try {
        return await readdir(join(this.#root, folder), { withFileTypes: true });
      } catch (error) {
        if (isMissing(error)) return [];
        throw error;
      }
    });
    entries.sort((a, b) => (a.name < b.name ? -1 : 1));
    for (const entry of entries) {
      if (entry.isDirectory()) yield* this.#walk(`${folder}${entry.name}/`);
      else if (entry.isFile()) yield `${folder}${entry.name}`;
    }
  }

  async #removeEmptyFolders(folder: string): Promise<void> {
    for (let path = folder; path !== '.' && path !== ''; path = dirname(path)) {
      try {
        await rmdir(join(this.#root, path));
      } catch (error) {
        const code = (error as NodeJS.ErrnoException).code;
        if (code === 'ENOTEMPTY' || code === 'ENOENT' || code === 'EEXIST') return;
        throw error;
      }
    }
  }

  async #explain<T>(doing: string, work: () => Promise<T>): Promise<T> {
    try {
      return await work();
    } catch (error) {
      throw explained(error, `could not ${doing} in ${this.description}`);
    }
  }
}

async function* toAsync(content: Uint8Array): AsyncGenerator<Uint8Array> {
  yield content;
}

function emptyStream(): Readable {
  return createReadStream('/dev/null');
}

function isMissing(error: unknown): boolean {
  return (error as NodeJS.ErrnoException).code === 'ENOENT';
}

function ignoreMissing(error: unknown): void {
  if (!isMissing(error)) throw error;
}

function missing(where: string, key: string): AppError {
  return new AppError({
    code: 'store/missing',
    what: `${where} has no ${key}`,
    hint: 'see what is there: `holdfast backup list`',
  });
}

/** Of a disk that was pulled out, and of mounts over a network whose other end is gone. */
const AWAY = new Set([
  ...[
    'ENOTDIR',
    'EIO',
    'ENOENT',
    'ENODEV',
    'ENXIO',
    'ENOTCONN',
    'ESTALE',
    'ETIMEDOUT',
    'EREMOTEIO',
  ],
  ...['EHOSTDOWN', 'EHOSTUNREACH', 'ENETDOWN', 'ENETUNREACH'],
  ...['ECONNREFUSED', 'ECONNRESET', 'ECONNABORTED'],
]);

function explained(error: unknown, what: string): unknown {
  const code = (error as NodeJS.ErrnoException).code;
  if (code === 'ENOSPC' || code === 'EDQUOT') {
    return new AppError({
      code: 'store/full',
      what,
      why: 'the disk is full',
      hint: 'free some space or shorten `keepRemote`, then `holdfast backup run`',
      cause: error,
    });
  }
  if (code === 'EACCES' || code === 'EPERM' || code === 'EROFS') {
    return new AppError({
      code: 'store/forbidden',
      what,
      why: (error as Error).message,
      hint: 'make the directory writable for root, then `holdfast backup run`',
      cause: error,
    });
  }
  if (code !== undefined && AWAY.has(code)) {
    return new AppError({
      code: 'store/unreachable',
      what,
      why: (error as Error).message,
      hint: 'check that the directory is mounted, then `holdfast backup run`',
      cause: error,
    });
  }
  return error;
}
