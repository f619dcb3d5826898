import { posix } from 'node:path';
import type { Host } from '../host/host.ts';
import type { Desired } from '../model/desired.ts';
import type { Paths } from '../model/paths.ts';
import { attributesOf } from './write-files.ts';

/** Candidates of rendered files, beside the live ones. */
export class Staging {
  readonly #host: Host;
  readonly #paths: Paths;
  readonly #desired: Desired;
  readonly #written = new Set<string>();

  constructor(host: Host, paths: Paths, desired: Desired) {
    this.#host = host;
    this.#paths = paths;
    this.#desired = desired;
  }

  /** Where the candidate of a live path stands. */
  at(path: string): string {
    return posix.join(this.#paths.staging, path);
  }

  /**
   * Writes the candidates of a file or of everything below a folder.
   * @returns where they stand; undefined when nothing there is ours to write
   */
  async add(path: string): Promise<string | undefined> {
    const files = [...this.#desired.files.values()].filter(
      (file) => file.path === path || file.path.startsWith(`${path}/`),
    );
    if (files.length === 0) return undefined;
    await this.#prepare();
    for (const file of files) {
      if (this.#written.has(file.path)) continue;
      await this.#host.write(this.at(file.path), file.content, attributesOf(file));
      this.#written.add(file.path);
    }
    return this.at(path);
  }

  /** Also after a kill: whatever is there goes. */
  async empty(): Promise<void> {
    await this.#host.remove(this.#paths.staging, { recursive: true });
    this.#written.clear();
  }

  async #prepare(): Promise<void> {
    if (this.#written.size > 0) return;
    await this.#host.makeDirectory(this.#paths.staging, { mode: 0o700, uid: 0, gid: 0 });
  }
}
