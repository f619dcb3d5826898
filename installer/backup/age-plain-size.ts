/** The last line of a header; what follows is a nonce of 16 bytes and the payload. */
const END_OF_HEADER = /\n--- [^\n]*\n/;
const NONCE = 16;
/** Each piece of 64 KiB carries an authentication tag. */
const PIECE = 64 * 1024;
const TAG = 16;
/** A stanza per recipient of some hundred bytes: beyond this it is no header of ours. */
const LONGEST_HEADER = 1024 ** 2;

/** How many plain bytes an age file holds, told from the length of the file (age-encryption.org/v1). */
export class AgePlainSize {
  #head = '';
  #header: number | undefined;
  #size = 0;

  /** Takes the next bytes of the file. @returns plain bytes of all so far; exact at the end of the file */
  add(chunk: Uint8Array): number {
    this.#size += chunk.length;
    if (this.#header === undefined) this.#lookFor(chunk);
    if (this.#header === undefined) return 0;
    const payload = this.#size - this.#header - NONCE;
    const pieces = Math.ceil(payload / (PIECE + TAG));
    return Math.max(0, payload - pieces * TAG);
  }

  #lookFor(chunk: Uint8Array): void {
    if (this.#head.length > LONGEST_HEADER) throw new Error('age wrote no header');
    this.#head += Buffer.from(chunk).toString('latin1');
    const end = END_OF_HEADER.exec(this.#head);
    if (end === null) return;
    this.#header = end.index + end[0].length;
    this.#head = '';
  }
}
