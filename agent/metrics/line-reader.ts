import { fs } from '../builtins.ts';

const CHUNK_BYTES = 64 * 1024;
const buffer = Buffer.allocUnsafeSlow(CHUNK_BYTES);
/** A longer line is nobody's access line: it is passed over. */
const LONGEST_LINE = 16 * 1024;

/**
 * Calls with each whole line of an open file from `offset` on, in constant memory.
 * Answers with the offset after the last whole line.
 */
export function readLines(file: number, offset: number, onLine: (line: string) => void): number {
  let at = offset;
  for (;;) {
    const length = fs.readSync(file, buffer, 0, CHUNK_BYTES, at);
    let lineStart = 0;
    for (
      let end = buffer.indexOf(10, lineStart);
      end >= 0 && end < length;
      end = buffer.indexOf(10, lineStart)
    ) {
      onLine(buffer.toString('utf8', lineStart, end));
      lineStart = end + 1;
    }
    if (lineStart === 0 && length > LONGEST_LINE) lineStart = length;
    at += lineStart;
    if (length < CHUNK_BYTES) return at;
  }
}
