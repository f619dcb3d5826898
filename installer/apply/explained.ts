import { AppError } from '../errors.ts';

/** The same failure with one more reason. */
export function explained(failure: AppError, text: string, cause?: unknown): AppError {
  return new AppError({
    code: failure.code,
    what: failure.what,
    why: failure.why === undefined ? text : `${failure.why}\n${text}`,
    hint: failure.hint,
    cause: cause ?? failure.cause,
    details: failure.details,
  });
}
