import { childProcess, fs } from '../builtins.ts';
import { isMissing } from '../files.ts';

/** A file is read again when it changed, and looked at no more often than this, milliseconds. */
const LOOK_EVERY = 30_000;

interface Known {
  readonly changed: number;
  /** Seconds since the epoch. */
  readonly notAfter: number;
  /** Seconds from its beginning to its end. */
  readonly lifetime: number;
}

export interface CertificateEnd {
  readonly name: string;
  /** Seconds since the epoch. */
  readonly notAfter: number;
  /** Seconds. */
  readonly lifetime: number;
}

/** When certificates on the disk end. `openssl` reads them: Node's own reader would load its crypto for good. */
export class Certificates {
  readonly #known = new Map<string, Known>();
  #lookedAt = 0;

  /** Seconds since the epoch by name; those that cannot be read are left out. */
  async notAfter(
    certificates: readonly { readonly name: string; readonly path: string }[],
    now: number,
  ): Promise<CertificateEnd[]> {
    if (Math.abs(now - this.#lookedAt) >= LOOK_EVERY) {
      this.#lookedAt = now;
      for (const { path } of certificates) await this.#look(path);
    }
    return certificates.flatMap(({ name, path }) => {
      const known = this.#known.get(path);
      return known === undefined
        ? []
        : [{ name, notAfter: known.notAfter, lifetime: known.lifetime }];
    });
  }

  async #look(path: string): Promise<void> {
    const changed = changedAt(path);
    if (changed === undefined) {
      this.#known.delete(path);
      return;
    }
    if (this.#known.get(path)?.changed === changed) return;
    const dates = await readDates(path);
    if (dates === undefined) this.#known.delete(path);
    else this.#known.set(path, { changed, ...dates });
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

function readDates(path: string): Promise<Omit<Known, 'changed'> | undefined> {
  return new Promise((resolve) => {
    childProcess.execFile(
      'openssl',
      ['x509', '-noout', '-dates', '-in', path],
      { timeout: 10_000 },
      (error, stdout) => {
        const secondsOf = (key: string): number =>
          Date.parse(new RegExp(`^${key}=(.*)$`, 'm').exec(stdout)?.[1] ?? '') / 1_000;
        const notAfter = secondsOf('notAfter');
        const lifetime = notAfter - secondsOf('notBefore');
        resolve(error !== null || Number.isNaN(lifetime) ? undefined : { notAfter, lifetime });
      },
    );
  });
}
