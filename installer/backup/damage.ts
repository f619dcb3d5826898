import { AppError } from '../errors.ts';

/** Whether a backup is not what was written: another one may be. */
export function isDamage(error: unknown): boolean {
  return (
    error instanceof AppError &&
    ['backup/damaged', 'backup/bad-manifest', 'backup/missing'].includes(error.code)
  );
}
