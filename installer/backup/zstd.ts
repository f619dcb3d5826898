import { pipeline } from 'node:stream/promises';
import { constants, createZstdCompress, createZstdDecompress } from 'node:zlib';

export function compress(input: AsyncIterable<Uint8Array>): AsyncGenerator<Buffer> {
  return through(
    input,
    createZstdCompress({
      params: { [constants.ZSTD_c_compressionLevel]: 3, [constants.ZSTD_c_checksumFlag]: 1 },
    }),
  );
}

export function decompress(input: AsyncIterable<Uint8Array>): AsyncGenerator<Buffer> {
  return through(input, createZstdDecompress());
}

async function* through(
  input: AsyncIterable<Uint8Array>,
  transform: NodeJS.ReadWriteStream & AsyncIterable<unknown>,
): AsyncGenerator<Buffer> {
  const feeding = pipeline(input, transform);
  // What fails on the way in also ends the way out, where it is thrown.
  feeding.catch(() => undefined);
  yield* transform as AsyncIterable<Buffer>;
  await feeding;
}
