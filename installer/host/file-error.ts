import { AppError } from '../errors.ts';

export type FileAction = 'read' | 'write' | 'inspect' | 'create folder' | 'remove' | 'list';

/** A failed file operation as something that the user can act on. */
export function fileError(
  host: string,
  action: FileAction,
  path: string,
  cause: { readonly code: string | undefined; readonly message: string },
): AppError {
  const what = `cannot ${action} ${path} on ${host}`;
  const why = cause.message;
  switch (cause.code) {
    case 'ENOSPC':
    case 'EDQUOT':
      return new AppError({
        code: 'host/disk-full',
        what,
        why,
        hint: 'free space (`df -h` and `df -i` show where), then run the same holdfast command again',
        cause,
      });
    case 'EACCES':
    case 'EPERM':
      return new AppError({
        code: 'host/permission-denied',
        what,
        why,
        hint: 'run the command as root or with sudo',
        cause,
      });
    case 'EROFS':
      return new AppError({
        code: 'host/read-only',
        what,
        why,
        hint: 'look at `dmesg | tail` for disk errors, then remount the file system read-write',
        cause,
      });
    case 'EISDIR':
    case 'ENOTDIR':
    case 'EEXIST':
    case 'ENOTEMPTY':
      return new AppError({
        code: 'host/wrong-file-type',
        what,
        why,
        hint: `something else stands in the way: look at \`ls -ld ${path}\` and move it aside`,
        cause,
      });
    default:
      return new AppError({
        code: 'host/file-failed',
        what,
        why,
        hint: `look at \`ls -ld ${path}\`, then run the same holdfast command again`,
        cause,
      });
  }
}
