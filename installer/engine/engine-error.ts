import { AppError } from '../errors.ts';

/** What the engine's HTTP client throws. */
interface EngineFailure {
  readonly statusCode?: number;
  readonly code?: string;
  readonly message: string;
  readonly json?: { readonly message?: string } | null;
}

const UNREACHABLE = new Set([
  'ECONNREFUSED',
  'ENOENT',
  'EACCES',
  'ECONNRESET',
  'EPIPE',
  'ETIMEDOUT',
]);

/** Where the engine tells what ails it: Debian's unit writes to the journal, its init script to the file. */
export const ENGINE_LOG =
  'look at `journalctl -u docker -n 50` (without systemd: /var/log/docker.log)';

/** The HTTP status that the engine answered with, if it answered. */
export function statusOf(error: unknown): number | undefined {
  return (error as EngineFailure).statusCode;
}

/** The engine's own words, without the client's wrapping. */
export function messageOf(error: unknown): string {
  const { json, message } = error as EngineFailure;
  return (json?.message ?? message).trim();
}

export function unreachable(host: string, why: string, cause?: unknown): AppError {
  const isForbidden = (cause as EngineFailure | undefined)?.code === 'EACCES';
  return new AppError({
    code: 'engine/unreachable',
    what: `the Docker engine on ${host} does not answer`,
    why,
    hint: isForbidden
      ? 'run the command as root or with sudo'
      : `start it with \`service docker start\`; if it does not stay, ${ENGINE_LOG}`,
    cause,
  });
}

/** A failed engine call as something that the user can act on. */
export function engineError(host: string, action: string, error: unknown): unknown {
  if (error instanceof AppError) return error;
  const { code, statusCode } = error as EngineFailure;
  const why = messageOf(error);
  if (statusCode === undefined) {
    // Without a code it is no failed connection but a bug of ours, which must stay visible as one.
    return code !== undefined && UNREACHABLE.has(code) ? unreachable(host, why, error) : error;
  }
  return new AppError({
    code: CODES[statusCode] ?? 'engine/refused',
    what: `the Docker engine on ${host} could not ${action}`,
    why,
    hint: HINTS[statusCode] ?? ENGINE_LOG,
    cause: error,
    details: { statusCode },
  });
}

const CODES: Readonly<Record<number, 'engine/not-found' | 'engine/not-running'>> = {
  404: 'engine/not-found',
  409: 'engine/not-running',
};

const HINTS: Readonly<Record<number, string>> = {
  404: '`holdfast plan` shows what is missing and `holdfast apply` brings it back',
  409: '`holdfast status` shows which containers run and `holdfast apply` starts the others',
};
