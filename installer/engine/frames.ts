import { AppError } from '../errors.ts';
import { ENGINE_LOG } from './engine-error.ts';

/** A piece of a container's output. */
export interface Frame {
  readonly output: 'stdout' | 'stderr';
  readonly chunk: Buffer;
}

const HEADER_BYTES = 8;
const STDERR = 2;

/**
 * Splits the engine's multiplexed stream. Pieces are handed on as they come, however long their frame is,
 * so memory stays constant and nothing is read that nobody asked for.
 *
 * @throws AppError `engine/stream-cut` when the stream ends in the middle of a frame
 */
export async function* demultiplex(source: AsyncIterable<Buffer>): AsyncGenerator<Frame> {
  let header = Buffer.alloc(0);
  let left = 0;
  for await (const data of source) {
    let rest = data;
    while (rest.length > 0) {
      if (left === 0) {
        const missing = HEADER_BYTES - header.length;
        header = Buffer.concat([header, rest.subarray(0, missing)]);
        rest = rest.subarray(missing);
        if (header.length < HEADER_BYTES) break;
        left = header.readUInt32BE(4);
        if (left === 0) header = Buffer.alloc(0);
        continue;
      }
      const chunk = rest.subarray(0, left);
      rest = rest.subarray(left);
      left -= chunk.length;
      const output = header[0] === STDERR ? 'stderr' : 'stdout';
      if (left === 0) header = Buffer.alloc(0);
      yield { output, chunk };
    }
  }
  if (header.length === 0) return;
  throw streamCut();
}

export function streamCut(): AppError {
  return new AppError({
    code: 'engine/stream-cut',
    what: "a container's output ended in the middle",
    why: 'the Docker engine closed the connection',
    hint: `${ENGINE_LOG}, then run the same holdfast command again`,
  });
}
