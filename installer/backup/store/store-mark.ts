import { randomUUID } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { join, posix } from 'node:path';
import { AppError } from '../../errors.ts';
import type { Host } from '../../host/host.ts';
import type { Paths } from '../../model/paths.ts';
import { exclusively } from '../exclusive.ts';
import { FileWriter } from './file-writer.ts';

/** Lies in the root of a folder store and names it. No key begins so. */
export const STORE_MARK = '.holdfast-store';

const LOCK_WAIT_SECONDS = 30;

/** Which folder this server has stored in, kept beside its other state. */
interface Remembered {
  readonly version: 1;
  /** Of the folder: another one in the config begins anew. */
  readonly path: string;
  readonly id: string;
}

/**
 * Tells the folder of a store from the empty mount point that is left when its disk is not mounted: an id lies in the
 * folder, and this server remembers it.
 */
export class StoreMark {
  readonly #host: Host;
  readonly #locks: string;
  readonly #memory: string;
  readonly #root: string;

  /** @param name of the store in the settings */
  constructor(host: Host, paths: Paths, { name, path }: { name: string; path: string }) {
    this.#host = host;
    this.#locks = posix.join(paths.agent, 'locks');
    this.#memory = posix.join(paths.agent, 'stores', `${name}.json`);
    this.#root = path;
  }

  /** Before anything is read; writes nothing. @throws AppError `store/not-mounted` */
  async requireSame(): Promise<void> {
    const remembered = await this.#remembered();
    if (remembered !== undefined) await this.#compare(remembered);
  }

  /** Before anything is written: the first time, the folder gets its mark. @throws AppError `store/not-mounted` */
  async settle(): Promise<void> {
    const remembered = await this.#remembered();
    if (remembered !== undefined) return await this.#compare(remembered);
    await exclusively(
      this.#host,
      this.#locks,
      'store-mark',
      () => this.#begin(),
      LOCK_WAIT_SECONDS,
    );
  }

  async #begin(): Promise<void> {
    // Another job may have been first.
    const remembered = await this.#remembered();
    if (remembered !== undefined) return await this.#compare(remembered);
    if ((await this.#found()) === undefined) await this.#mark();
    // Read back: what counts is what lies there, should another server have marked it at the same moment.
    const id = await this.#found();
    if (id === undefined) throw new Error(`the mark of ${this.#root} is gone again`);
    const memory: Remembered = { version: 1, path: this.#root, id };
    const owner = { mode: 0o600, uid: 0, gid: 0 };
    await this.#host.write(this.#memory, `${JSON.stringify(memory)}\n`, owner);
  }

  async #mark(): Promise<void> {
    const writer = await FileWriter.open(join(this.#root, STORE_MARK));
    try {
      await writer.write(Buffer.from(`${randomUUID()}\n`));
      await writer.commit();
    } catch (error) {
      await writer.abandon();
      throw error;
    }
  }

  async #compare(id: string): Promise<void> {
    const found = await this.#found();
    if (found !== id) throw this.#notMounted(found);
  }

  async #found(): Promise<string | undefined> {
    try {
      const content = await readFile(join(this.#root, STORE_MARK), 'utf8');
      return content.trim() || undefined;
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
      throw error;
    }
  }

  async #remembered(): Promise<string | undefined> {
    const content = await this.#host.read(this.#memory);
    if (content === undefined) return undefined;
    try {
      const { path, id } = JSON.parse(Buffer.from(content).toString('utf8')) as Remembered;
      return path === this.#root ? id : undefined;
    } catch {
      // The mark in the folder says it again; damage here must not stop backups.
      return undefined;
    }
  }

  #notMounted(found: string | undefined): AppError {
    const why =
      found === undefined
        ? `${STORE_MARK}, by which this server knows it, is not there`
        : `its ${STORE_MARK} is that of another folder`;
    return new AppError({
      code: 'store/not-mounted',
      what: `${this.#root} is not the folder that this server has stored its backups in`,
      why: `${why}: its disk is not mounted, or another one is`,
      hint: `mount the disk of ${this.#root}, then \`holdfast backup run\`. If the folder was emptied or replaced on purpose: \`rm ${this.#memory}\` first`,
    });
  }
}
