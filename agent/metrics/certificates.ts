import { childProcess, fs } from '../builtins.ts';
import { isMissing } from '../files.ts';

/** A file is read again when it changed, and looked at no more often than this, milliseconds. */
const LOOK_EVERY = 30_000;

interface Known {
  readonly changed: number;
  /** Seconds since the epoch. */
  readonly notAfter: number;
}

/** When certificates on the disk end. `openssl` reads them: Node's own reader would load its crypto for good. */
export class Certificates {
  readonly #known = new Map<string, Known>();
  #lookedAt = 0;

  /** Seconds since the epoch by name; those that cannot be read are left out. */
  async notAfter(
    certificates: readonly { readonly name: string; readonly path: string }[],
    now: number,
  ): Promise<{ readonly name: string; readonly notAfter: number }[]> {
    if (Math.abs(now - this.#lookedAt) >= LOOK_EVERY) {
      this.#lookedAt = now;
      for (const { path } of certificates) await this.#look(path);
    }
    return certificates.flatMap(({ name, path }) => {
      const known = this.#known.get(path);
      return known === undefined ? [] : [{ name, notAfter: known.notAfter }];
    });
  }

  async #look(path: string): Promise<void> {
    const changed = changedAt(path);
    if (changed === undefined) {
      this.#known.delete(path);
      return;
    }
    if (this.#known.get(path)?.changed === changed) return;
    const notAfter = await readNotAfter(path);
    if (notAfter === undefined) this.#known.delete(path);
    else this.#known.set(path, { changed, notAfter });
  }
}

function changedAt(path: string): number | undefined {
  try {
    return fs.statSync(path).mtimeMs;
  } catch (error) {
    if (isMissing(error)) return undefined;
    throw error;
  }
}

function readNotAfter(path: string): Promise<number | undefined> {
  return new Promise((resolve) => {
    childProcess.execFile(
      'openssl',
      ['x509', '-noout', '-enddate', '-in', path],
      { timeout: 10_000 },
      (error, stdout) => {
        const time = Date.parse(/^notAfter=(.*)$/m.exec(stdout)?.[1] ?? '');
        resolve(error === null && !Number.isNaN(time) ? time / 1_000 : undefined);
      },
    );
  });
}
