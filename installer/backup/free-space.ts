import { statfs } from 'node:fs/promises';
import { dirname } from 'node:path';
import { AppError } from '../errors.ts';
import { formatBytes } from '../model/format-bytes.ts';

const GIB = 1024 ** 3;

/**
 * Refuses before anything is written when a folder's disk has not room for `neededBytes` and what the
 * databases on the same disk need to go on: a twentieth of it, 1 GiB at most.
 * @throws AppError `preflight/disk-full`
 */
export async function requireFreeSpace(
  folder: string,
  neededBytes: number,
  what: string,
): Promise<void> {
  const { free, total } = await space(folder);
  const reserve = Math.min(GIB, total / 20);
  if (free >= neededBytes + reserve) return;
  throw new AppError({
    code: 'preflight/disk-full',
    what: `the disk of ${folder} is too full for ${what}`,
    why: `${formatBytes(free)} are free; ${formatBytes(neededBytes)} are needed and ${formatBytes(reserve)} must stay free`,
    hint: 'free some space, shorten `keepRemote` or `keepLocal`, or send the backups to a bucket',
    details: { freeBytes: free, neededBytes, reserveBytes: reserve },
  });
}

/** Bytes of the file system of the nearest folder that exists. */
export async function space(folder: string): Promise<{ free: number; total: number }> {
  try {
    const { bavail, blocks, bsize } = await statfs(folder);
    return { free: bavail * bsize, total: blocks * bsize };
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ENOENT' || folder === dirname(folder)) {
      throw error;
    }
    return await space(dirname(folder));
  }
}
