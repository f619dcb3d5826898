import { createReadStream } from 'node:fs';
import { open } from 'node:fs/promises';
import { posix } from 'node:path';
import { pipeline, Readable } from 'node:stream';
import { createGunzip, createZstdDecompress } from 'node:zlib';
import { AppError } from '../errors.ts';
import { childOutput } from '../host/child-output.ts';
import { CommandError } from '../host/command-error.ts';
import { type TarEntry, watchTar } from './tar-entries.ts';

/**
 * An archive on this machine as a tar stream, whatever it is packed with, checked member by member.
 * @throws AppError `config/artifact-unsafe`, `config/artifact-unreadable`
 */
export async function* archiveAsTar(site: string, path: string): AsyncGenerator<Uint8Array> {
  try {
    yield* watchTar(await plainTar(path), (entry) => refuseUnsafe(site, path, entry));
  } catch (error) {
    if (error instanceof AppError) throw error;
    throw new AppError({
      code: 'config/artifact-unreadable',
      what: `sites.${site}.artifact: ${path} cannot be unpacked`,
      why: reason(error),
      hint: 'give a folder or an archive of the kinds .tar, .tar.gz, .tar.zst or .zip',
      cause: error,
    });
  }
}

/** The content tells the kind, not the name. */
async function plainTar(path: string): Promise<AsyncIterable<Uint8Array>> {
  const head = await firstBytes(path);
  if (head.startsWith('504b')) return childOutput(['bsdtar', '--create', '--file=-', `@${path}`]);
  const file = createReadStream(path);
  const unpack = head.startsWith('1f8b')
    ? createGunzip()
    : head.startsWith('28b52ffd')
      ? createZstdDecompress()
      : undefined;
  if (unpack === undefined) return file;
  // A failure of either side ends the other; it is thrown where the result is read.
  return pipeline(file, unpack, () => undefined);
}

async function firstBytes(path: string): Promise<string> {
  const file = await open(path);
  try {
    const { buffer, bytesRead } = await file.read(Buffer.alloc(4), 0, 4, 0);
    return buffer.subarray(0, bytesRead).toString('hex');
  } finally {
    await file.close();
  }
}

function reason(error: unknown): string {
  if (error instanceof CommandError && error.reason === 'spawn') {
    return 'zip archives are read by bsdtar: apt-get install libarchive-tools';
  }
  return error instanceof Error ? error.message : String(error);
}

const FILES_LINKS_FOLDERS = ['0', '1', '2', '5', '7'];

function refuseUnsafe(site: string, archive: string, { path, type, link }: TarEntry): void {
  const refuse = (why: string): never => {
    throw new AppError({
      code: 'config/artifact-unsafe',
      what: `sites.${site}.artifact: ${archive} is refused`,
      why: `${JSON.stringify(path)} ${why}`,
      hint: 'pack nothing but files, folders and links within them',
    });
  };
  if (leadsOut('.', path)) refuse('leads out of the folder of the site');
  if (!FILES_LINKS_FOLDERS.includes(type)) refuse('is neither a file, a folder nor a link');
  if (type === '1' && leadsOut('.', link)) refuse(`is a link to ${JSON.stringify(link)}, outside`);
  if (type === '2' && leadsOut(posix.dirname(path), link)) {
    refuse(`is a link to ${JSON.stringify(link)}, outside`);
  }
}

function leadsOut(from: string, path: string): boolean {
  const target = posix.normalize(posix.join(from, path));
  return path.startsWith('/') || target === '..' || target.startsWith('../');
}

/** A folder on this machine as a tar stream. */
export function folderAsTar(path: string): Readable {
  return Readable.from(childOutput(['tar', '--create', '--file=-', `--directory=${path}`, '.']));
}
