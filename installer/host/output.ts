import { StringDecoder } from 'node:string_decoder';
import { TailBuffer } from './tail-buffer.ts';

/** Bytes of each output that a host keeps, the end of it. */
export const OUTPUT_LIMIT = 8 * 1024 * 1024;

/** Gathers both outputs of a program and hands on each line as soon as it is whole. */
export class Output {
  readonly stdout = new TailBuffer(OUTPUT_LIMIT);
  readonly stderr = new TailBuffer(OUTPUT_LIMIT);
  readonly #lines: readonly [LineSplitter, LineSplitter] | undefined;

  constructor(onLine?: (line: string) => void) {
    this.#lines = onLine && [new LineSplitter(onLine), new LineSplitter(onLine)];
  }

  pushStdout(chunk: Buffer): void {
    this.stdout.push(chunk);
    this.#lines?.[0].push(chunk);
  }

  pushStderr(chunk: Buffer): void {
    this.stderr.push(chunk);
    this.#lines?.[1].push(chunk);
  }

  stdoutText(): string {
    return this.stdout.text();
  }

  stderrText(): string {
    return this.stderr.text();
  }

  /** Hands on what stands after the last line feed. */
  end(): void {
    this.#lines?.[0].end();
    this.#lines?.[1].end();
  }
}

/** A line longer than this is handed on in pieces. */
const LINE_LIMIT = 64 * 1024;

class LineSplitter {
  readonly #decoder = new StringDecoder('utf8');
  readonly #onLine: (line: string) => void;
  #rest = '';

  constructor(onLine: (line: string) => void) {
    this.#onLine = onLine;
  }

  push(chunk: Buffer): void {
    const lines = (this.#rest + this.#decoder.write(chunk)).split('\n');
    this.#rest = lines.pop() ?? '';
    for (const line of lines) this.#onLine(line.endsWith('\r') ? line.slice(0, -1) : line);
    if (this.#rest.length > LINE_LIMIT) this.end();
  }

  end(): void {
    if (this.#rest !== '') this.#onLine(this.#rest);
    this.#rest = '';
  }
}
