import { posix } from 'node:path';
import type { Report } from '../model/events.ts';
import type { Paths } from '../model/paths.ts';
import { FileWriter } from './store/file-writer.ts';

/** Below `paths.backups`. No key of a store begins with a dot. */
export function localCopiesFolder(paths: Paths): string {
  return posix.join(paths.backups, '.local-copies');
}

/**
 * Writes what passes by into a second place on this machine. When that fails the copy is given up with a
 * warning, and the stream goes on: the store is what counts.
 */
export class LocalCopy {
  readonly #folder: string;
  readonly #report: Report;
  #given = false;

  constructor(folder: string, report: Report) {
    this.#folder = folder;
    this.#report = report;
  }

  get complete(): boolean {
    return !this.#given;
  }

  async *tee(key: string, body: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array> {
    let writer = await this.#attempt(() => FileWriter.open(posix.join(this.#folder, key)));
    let finished = false;
    try {
      for await (const chunk of body) {
        if (writer !== undefined) {
          const open = writer;
          const written = await this.#attempt(async () => {
            await open.write(chunk);
            return true;
          });
          if (written !== true) {
            writer = undefined;
            await open.abandon();
          }
        }
        yield chunk;
      }
      finished = true;
    } finally {
      if (writer !== undefined) {
        const open = writer;
        if (finished) await this.#attempt(() => open.commit());
        else await open.abandon();
      }
    }
  }

  async put(key: string, content: Uint8Array): Promise<void> {
    if (this.#given) return;
    await this.#attempt(async () => {
      const writer = await FileWriter.open(posix.join(this.#folder, key));
      await writer.write(content);
      await writer.commit();
    });
  }

  async #attempt<T>(work: () => Promise<T>): Promise<T | undefined> {
    if (this.#given) return undefined;
    try {
      return await work();
    } catch (error) {
      this.#given = true;
      this.#report({
        kind: 'warning',
        code: 'backup/no-local-copy',
        text: `no copy is kept on this server: ${(error as Error).message}`,
      });
      return undefined;
    }
  }
}
