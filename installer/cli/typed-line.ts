import { AppError } from '../errors.ts';

const BACKSPACE = new Set([8, 127]);
const ENTER = new Set([10, 13]);
const CONTROL_D = 4;
const CONTROL_U = 21;
const CONTROL_W = 23;
const SPACE = 32;

/** A line that a person types blind, byte by byte, with the few keys that edit it. */
export class TypedLine {
  readonly #bytes: number[] = [];
  readonly #longest: number;
  #isEnded = false;
  #goesOn = false;
  #hasKeys = false;

  /** @param longest bytes; what comes after them is not kept */
  constructor(longest: number) {
    this.#longest = longest;
  }

  get isEnded(): boolean {
    return this.#isEnded;
  }

  take(byte: number): void {
    if (this.#isEnded) this.#goesOn ||= !ENTER.has(byte);
    else if (ENTER.has(byte) || byte === CONTROL_D) this.#isEnded = true;
    else if (BACKSPACE.has(byte)) this.#removeCharacter();
    else if (byte === CONTROL_U) this.#bytes.length = 0;
    else if (byte === CONTROL_W) this.#removeWord();
    else if (byte < SPACE) this.#hasKeys = true;
    else if (this.#bytes.length <= this.#longest) this.#bytes.push(byte);
  }

  /**
   * What was typed; one byte more than the longest when it was too long.
   * @throws AppError `secret/many-lines`, `secret/keys`
   */
  value(): Buffer {
    // Only now: what somebody goes on to type after an early end would be shown by the shell.
    if (this.#goesOn) throw manyLines();
    if (this.#hasKeys) throw otherKeys();
    return Buffer.from(this.#bytes);
  }

  /** A character of UTF-8 may have several bytes: those that go on one begin with the bits 10. */
  #removeCharacter(): void {
    let byte = this.#bytes.pop();
    while (byte !== undefined && (byte & 0xc0) === 0x80) byte = this.#bytes.pop();
  }

  #removeWord(): void {
    while (this.#bytes.at(-1) === SPACE) this.#bytes.pop();
    while (this.#bytes.length > 0 && this.#bytes.at(-1) !== SPACE) this.#bytes.pop();
  }
}

function manyLines(): AppError {
  return new AppError({
    code: 'secret/many-lines',
    what: 'more than one line was pasted',
    why: 'a value that is typed ends with the first; nothing was stored',
    hint: 'pipe it into the same command: holdfast secrets set NAME <FILE',
  });
}

function otherKeys(): AppError {
  return new AppError({
    code: 'secret/keys',
    what: 'a key was pressed that is no character, such as an arrow',
    why: 'Backspace, Control-W and Control-U edit what is typed here; nothing was stored',
    hint: 'run the command again, or pipe the value into it',
  });
}
