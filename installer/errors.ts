/**
 * The classes of failure and the process exit code of each.
 * A code such as `config/invalid` starts with its class; `docs/reference/errors.md` lists all codes.
 */
export const EXIT_CODES = {
  bug: 1,
  usage: 2,
  config: 2,
  secret: 3,
  preflight: 4,
  consent: 5,
  lock: 6,
  host: 7,
  engine: 8,
  image: 9,
  health: 11,
  backup: 12,
  store: 13,
  restore: 14,
  drift: 15,
  agent: 16,
  certificate: 17,
} as const;

/** Exit code of `plan` when there is something to apply. */
export const EXIT_CHANGES_PENDING = 10;

export type ErrorClass = keyof typeof EXIT_CODES;
export type ErrorCode = `${ErrorClass}/${string}`;

export interface AppErrorFields {
  /** Stable identifier, `class/name`; scripts may match on it. */
  readonly code: ErrorCode;
  /** What happened, one sentence without the final stop. */
  readonly what: string;
  /** Why it happened, as far as known. May have several lines, such as a container's last log lines. */
  readonly why?: string;
  /** The next command or edit that helps. */
  readonly hint: string;
  readonly cause?: unknown;
  /** Machine-readable particulars for `--json`; never holds a secret. */
  readonly details?: unknown;
}

/** A failure that a user can act on. Everything else that is thrown is a bug of ours. */
export class AppError extends Error {
  readonly code: ErrorCode;
  readonly what: string;
  readonly why: string | undefined;
  readonly hint: string;
  readonly details: unknown;

  constructor(fields: AppErrorFields) {
    super(fields.why === undefined ? fields.what : `${fields.what}: ${fields.why}`, {
      cause: fields.cause,
    });
    this.name = 'AppError';
    this.code = fields.code;
    this.what = fields.what;
    this.why = fields.why;
    this.hint = fields.hint;
    this.details = fields.details;
  }
}

/** The exit code that a thrown value leads to: by class for an {@link AppError}, 1 (a bug) for the rest. */
export function exitCodeOf(error: unknown): number {
  if (!(error instanceof AppError)) return EXIT_CODES.bug;
  const errorClass = error.code.slice(0, error.code.indexOf('/')) as ErrorClass;
  return EXIT_CODES[errorClass];
}
