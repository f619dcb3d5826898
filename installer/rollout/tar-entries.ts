/** One member of a tar archive, as its headers describe it. */
export interface TarEntry {
  readonly path: string;
  /** POSIX type letter; `0` is a file, `1` a hard link, `2` a symbolic link, `5` a folder. */
  readonly type: string;
  readonly link: string;
}

const BLOCK = 512;
/** A name or a set of attributes that is longer is no archive of a web site. */
const LONGEST_HEADER = 1024 * 1024;

/**
 * Passes a tar stream on as it is, and shows each member before its first byte is passed on: `look` throws
 * to stop. Knows the long names of GNU and POSIX archives.
 * @throws Error when the bytes are no tar archive, or end within a member
 */
export async function* watchTar(
  input: AsyncIterable<Uint8Array>,
  look: (entry: TarEntry) => void,
): AsyncGenerator<Uint8Array> {
  const reader = new HeaderReader(look);
  let pending = Buffer.alloc(0);
  for await (const chunk of input) {
    pending = pending.length === 0 ? Buffer.from(chunk) : Buffer.concat([pending, chunk]);
    const whole = pending.length - (pending.length % BLOCK);
    for (let at = 0; at < whole; at += BLOCK) reader.block(pending.subarray(at, at + BLOCK));
    if (whole === 0) continue;
    yield pending.subarray(0, whole);
    pending = pending.subarray(whole);
  }
  reader.end(pending.length);
}

class HeaderReader {
  readonly #look: (entry: TarEntry) => void;
  /** Bytes of the current member that are still to come, padding included. */
  #left = 0;
  /** Collects the content of a header that describes the next member. */
  #extended:
    | { readonly type: string; readonly size: number; readonly blocks: Buffer[] }
    | undefined;
  #path: string | undefined;
  #link: string | undefined;
  #size: number | undefined;
  #members = 0;
  #ended = false;

  constructor(look: (entry: TarEntry) => void) {
    this.#look = look;
  }

  block(block: Buffer): void {
    if (this.#left > 0) {
      this.#left -= BLOCK;
      this.#extended?.blocks.push(Buffer.from(block));
      if (this.#left === 0 && this.#extended !== undefined) this.#takeExtended();
      return;
    }
    if (this.#ended || block.every((byte) => byte === 0)) {
      // Whatever follows the end of an archive is no part of it.
      this.#ended = true;
      return;
    }
    this.#header(block);
  }

  end(rest: number): void {
    if (this.#left > 0 || rest > 0) throw new Error('it ends in the middle of a file');
    if (this.#members === 0) throw new Error('there is no file in it');
  }

  #header(block: Buffer): void {
    if (!hasRightChecksum(block)) throw new Error('it is no tar archive');
    const type = String.fromCharCode(block[156] ?? 0);
    const written = numberIn(block, 124, 12);
    if (['x', 'g', 'L', 'K'].includes(type)) {
      if (written > LONGEST_HEADER) throw new Error('a header in it is too long');
      this.#extended = { type, size: written, blocks: [] };
      this.#left = padded(written);
      if (this.#left === 0) this.#takeExtended();
      return;
    }
    const prefix = textIn(block, 257, 5) === 'ustar' ? textIn(block, 345, 155) : '';
    const name = textIn(block, 0, 100);
    const size = this.#size ?? written;
    this.#members += 1;
    this.#look({
      path: this.#path ?? (prefix === '' ? name : `${prefix}/${name}`),
      type: type === '\0' ? '0' : type,
      link: this.#link ?? textIn(block, 157, 100),
    });
    this.#path = undefined;
    this.#link = undefined;
    this.#size = undefined;
    // Links and folders have no content, whatever their size says.
    this.#left = ['1', '2', '3', '4', '5', '6'].includes(type) ? 0 : padded(size);
  }

  #takeExtended(): void {
    const { type, size, blocks } = this.#extended ?? { type: '', size: 0, blocks: [] };
    this.#extended = undefined;
    const content = Buffer.concat(blocks).subarray(0, size);
    if (type === 'L') this.#path = untilZero(content);
    if (type === 'K') this.#link = untilZero(content);
    if (type !== 'x' && type !== 'g') return;
    const records = paxRecords(content);
    this.#path = records.get('path') ?? this.#path;
    this.#link = records.get('linkpath') ?? this.#link;
    const written = records.get('size');
    if (written !== undefined) this.#size = Number(written);
  }
}

/** `LENGTH KEY=VALUE\n`, the length in bytes and of the whole record. */
function paxRecords(content: Buffer): Map<string, string> {
  const records = new Map<string, string>();
  for (let at = 0; at < content.length; ) {
    const space = content.indexOf(0x20, at);
    const length = Number(content.toString('latin1', at, space));
    if (space < 0 || !Number.isInteger(length) || length <= space - at) {
      throw new Error('a header in it cannot be read');
    }
    const record = content.toString('utf8', space + 1, at + length - 1);
    const equals = record.indexOf('=');
    records.set(record.slice(0, equals), record.slice(equals + 1));
    at += length;
  }
  return records;
}

function hasRightChecksum(block: Buffer): boolean {
  let sum = 0;
  for (const [index, byte] of block.entries()) sum += index >= 148 && index < 156 ? 0x20 : byte;
  return sum === numberIn(block, 148, 8);
}

/** Octal digits, or base 256 where GNU tar needs it. */
function numberIn(block: Buffer, offset: number, length: number): number {
  if (((block[offset] ?? 0) & 0x80) !== 0) return block.readUIntBE(offset + length - 6, 6);
  const digits = textIn(block, offset, length).trim();
  return digits === '' ? 0 : Number.parseInt(digits, 8);
}

function textIn(block: Buffer, offset: number, length: number): string {
  return untilZero(block.subarray(offset, offset + length));
}

function untilZero(bytes: Buffer): string {
  const end = bytes.indexOf(0);
  return bytes.toString('utf8', 0, end < 0 ? bytes.length : end);
}

function padded(size: number): number {
  return Math.ceil(size / BLOCK) * BLOCK;
}
