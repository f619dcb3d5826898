/** Collects output of unknown length in bounded memory: the end is kept, the start is dropped. */
export class TailBuffer {
  readonly #limit: number;
  #chunks: Buffer[] = [];
  #length = 0;

  /** @param limit bytes kept */
  constructor(limit: number) {
    this.#limit = limit;
  }

  push(chunk: Buffer): void {
    this.#chunks.push(chunk);
    this.#length += chunk.length;
    for (;;) {
      const first = this.#chunks[0];
      if (first === undefined || this.#length - first.length < this.#limit) return;
      this.#chunks.shift();
      this.#length -= first.length;
    }
  }

  bytes(): Buffer {
    const all = Buffer.concat(this.#chunks);
    return all.length > this.#limit ? all.subarray(all.length - this.#limit) : all;
  }

  /** UTF-8; a character that the cut went through is left out. */
  text(): string {
    const bytes = this.bytes();
    let start = 0;
    if (this.#length > this.#limit) {
      while (start < 3 && ((bytes[start] ?? 0) & 0b1100_0000) === 0b1000_0000) start += 1;
    }
    return bytes.toString('utf8', start);
  }
}
