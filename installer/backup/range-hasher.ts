import { createHash, type Hash } from 'node:crypto';

const MIB = 1024 ** 2;
const SMALLEST_RANGE = 8 * MIB;
/** Keeps the manifest of a terabyte below a few hundred KiB. */
const MOST_RANGES = 4096;

/** Bytes per range for an object of about this size. */
export function rangeBytesFor(expectedBytes: number): number {
  const needed = Math.ceil(expectedBytes / MOST_RANGES / MIB) * MIB;
  return Math.max(SMALLEST_RANGE, needed);
}

export interface RangeDigests {
  readonly size: number;
  readonly sha256: string;
  readonly rangeBytes: number;
  readonly ranges: readonly string[];
}

/** sha256 of each equal range of a stream, and of the whole of it, in one pass. */
export class RangeHasher {
  readonly #rangeBytes: number;
  readonly #onRange: ((index: number, sha256: string) => void) | undefined;
  readonly #whole = createHash('sha256');
  readonly #ranges: string[] = [];
  #range: Hash = createHash('sha256');
  #inRange = 0;
  #size = 0;

  /** @param onRange sees each range as soon as its last byte was given; may throw to stop */
  constructor(rangeBytes: number, onRange?: (index: number, sha256: string) => void) {
    this.#rangeBytes = rangeBytes;
    this.#onRange = onRange;
  }

  get size(): number {
    return this.#size;
  }

  update(chunk: Uint8Array): void {
    this.#whole.update(chunk);
    this.#size += chunk.length;
    let rest = chunk;
    while (rest.length > 0) {
      const part = rest.subarray(0, this.#rangeBytes - this.#inRange);
      this.#range.update(part);
      this.#inRange += part.length;
      rest = rest.subarray(part.length);
      if (this.#inRange === this.#rangeBytes) this.#closeRange();
    }
  }

  /** Ends the last, shorter range. Call once. */
  finish(): RangeDigests {
    if (this.#inRange > 0) this.#closeRange();
    return {
      size: this.#size,
      sha256: this.#whole.digest('hex'),
      rangeBytes: this.#rangeBytes,
      ranges: this.#ranges,
    };
  }

  #closeRange(): void {
    const digest = this.#range.digest('hex');
    this.#ranges.push(digest);
    this.#range = createHash('sha256');
    this.#inRange = 0;
    this.#onRange?.(this.#ranges.length - 1, digest);
  }
}
