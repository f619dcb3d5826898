import { z } from 'zod';
import { AppError } from '../errors.ts';
import type { Host } from '../host/host.ts';
import { EMPTY_LOCK, type LockFile } from '../model/lock-file.ts';
import { readText } from './read-text.ts';

const LockedImage = z.looseObject({
  reference: z.string(),
  version: z.string(),
  source: z.enum(['debian', 'registry', 'build']),
  wish: z.string(),
});

const LockFileSchema = z.looseObject({
  version: z.literal(EMPTY_LOCK.version),
  images: z.record(z.string(), LockedImage),
  services: z.record(z.string(), LockedImage),
  subnets: z.record(z.string(), z.string()),
  scales: z.record(z.string(), z.int()).optional(),
  postgresVolume: z.string().optional(),
  postgresMajor: z.string().optional(),
  cloudflare: z.array(z.string()).optional(),
});

/**
 * The decisions of earlier applies; none where nothing was applied yet.
 * @throws AppError `drift/lock-file-unreadable`
 */
export async function readLockFile(host: Host, path: string): Promise<LockFile> {
  const text = await readText(host, path);
  if (text === undefined) return EMPTY_LOCK;
  try {
    const value: unknown = JSON.parse(text);
    // Checked in outline only: keys that this version does not read must survive.
    return LockFileSchema.parse(value) as LockFile;
  } catch (error) {
    throw new AppError({
      code: 'drift/lock-file-unreadable',
      what: `${path} cannot be read: it holds the image versions and subnets that this server runs with`,
      why: error instanceof z.ZodError ? z.prettifyError(error) : 'it is not JSON',
      hint: `put back the copy from a backup of the appliance, or rename it (\`mv ${path} ${path}.unreadable\`) so that they are decided anew, and look at \`holdfast plan\``,
      cause: error,
    });
  }
}
