import { AppError } from '../errors.ts';

const CODE = 'drift/file-damaged';

/** A file that apply wrote says nothing any more: somebody edited it, or a disk lost it. */
export function damagedFile(path: string, cause?: unknown): AppError {
  return new AppError({
    code: CODE,
    what: `${path} cannot be read as what holdfast wrote`,
    // The cause stays out of it: it may quote the file at length.
    why: 'somebody else changed it, or only a part of it came to the disk',
    hint: '`holdfast plan` shows what is different; `holdfast apply --adopt` puts ours back (a copy is kept)',
    cause,
  });
}

export function isDamaged(error: unknown): boolean {
  return error instanceof AppError && error.code === CODE;
}
