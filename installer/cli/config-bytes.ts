import { constants } from 'node:fs';
import { type FileHandle, open } from 'node:fs/promises';
import { setTimeout as wait } from 'node:timers/promises';
import { MAX_BYTES } from '../config/read-yaml.ts';
import { AppError } from '../errors.ts';

/**
 * The bytes of a config file on this machine; of a larger one than a config may be no more than show that it is.
 * Undefined when there is none.
 * @throws AppError `config/unreadable`
 */
export async function configBytes(path: string): Promise<Uint8Array | undefined> {
  let file: FileHandle;
  try {
    // Nobody may be at the other end of a pipe: then this would wait for ever.
    file = await open(path, constants.O_RDONLY | constants.O_NONBLOCK);
  } catch (error) {
    if (codeOf(error) === 'ENOENT') return undefined;
    throw unreadable(path, error);
  }
  try {
    const bytes = Buffer.alloc(MAX_BYTES + 1);
    let length = 0;
    while (length < bytes.length) {
      const bytesRead = await readSome(file, bytes, length);
      if (bytesRead === 0) break;
      length += bytesRead;
    }
    return bytes.subarray(0, length);
  } catch (error) {
    throw unreadable(path, error);
  } finally {
    await file.close();
  }
}

/** Looks again after this, milliseconds. */
const WRITER_PAUSE = 20;

/** Bytes read; 0 at the end. A pipe whose writer is slow, as in `check <(make-config)`, is waited for. */
async function readSome(file: FileHandle, into: Buffer, offset: number): Promise<number> {
  for (;;) {
    try {
      return (await file.read(into, offset)).bytesRead;
    } catch (error) {
      if (codeOf(error) !== 'EAGAIN') throw error;
      await wait(WRITER_PAUSE);
    }
  }
}

function unreadable(path: string, cause: unknown): AppError {
  const reasons: Readonly<Record<string, readonly [string, string]>> = {
    EISDIR: ['it is a folder', 'name the file itself, such as config.yaml in it'],
    EACCES: ['only others may read it', 'run the command as root or with sudo'],
  };
  const said = cause instanceof Error ? cause.message : String(cause);
  const [why, hint] = reasons[codeOf(cause) ?? ''] ?? [said, 'name another file'];
  return new AppError({
    code: 'config/unreadable',
    what: `cannot read the config ${path}`,
    why,
    hint,
    cause,
  });
}

function codeOf(error: unknown): string | undefined {
  return (error as NodeJS.ErrnoException).code;
}
