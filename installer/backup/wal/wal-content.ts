import { decrypt, encrypt } from '../age.ts';
import { compress, decompress } from '../zstd.ts';

/** One WAL file, compressed and encrypted: at most the size of a segment, so it is handled in memory. */
export async function encodeWal(
  content: Uint8Array,
  recipientsFile: string | undefined,
): Promise<Buffer> {
  const compressed = compress(once(content));
  return await collect(
    recipientsFile === undefined ? compressed : encrypt(compressed, recipientsFile),
  );
}

/**
 * @param identityFile private key; undefined for what is stored in the clear
 * @throws AppError `backup/damaged`, `restore/wrong-identity`; an Error of zlib where the frame is broken
 */
export async function decodeWal(
  stored: Uint8Array,
  identityFile: string | undefined,
): Promise<Buffer> {
  const compressed =
    identityFile === undefined ? once(stored) : decrypt(once(stored), identityFile);
  return await collect(decompress(compressed));
}

async function* once(content: Uint8Array): AsyncGenerator<Uint8Array> {
  yield content;
}

async function collect(body: AsyncIterable<Buffer>): Promise<Buffer> {
  const chunks: Buffer[] = [];
  for await (const chunk of body) chunks.push(chunk);
  return Buffer.concat(chunks);
}
