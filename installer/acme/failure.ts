import { AppError, type ErrorCode } from '../errors.ts';

/** How an authority or the way to it failed. */
export interface AcmeProblem {
  /** Last part of the URN of RFC 8555, such as `rateLimited`; absent when there was no such answer. */
  readonly type?: string;
  readonly status?: number;
  readonly detail: string;
  /** Seconds that the authority asks to wait. */
  readonly retryAfter?: number;
}

/** Thrown by the transport; {@link asAppError} says what it means. */
export class AcmeFailure extends Error {
  readonly problem: AcmeProblem;

  constructor(problem: AcmeProblem, cause?: unknown) {
    super(problem.detail, { cause });
    this.name = 'AcmeFailure';
    this.problem = problem;
  }
}

/**
 * What acme-client finds wrong with an answer, such as a check that never ends, is a plain Error of words only. A
 * TypeError and its like, or an error of this machine (which has a code), is not the authority's.
 */
export function withAuthoritysFault(error: unknown): unknown {
  const isPlain = error instanceof Error && error.constructor === Error && !('code' in error);
  return isPlain ? new AcmeFailure({ status: 500, detail: error.message }, error) : error;
}

/** Work of acme-client whose plain errors are the authority's. */
export async function atAuthority<T>(work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (error) {
    throw withAuthoritysFault(error);
  }
}

/** What a failure to get a certificate means and what to do; errors that say so already pass through. */
export function asAppError(error: unknown, name: string, directory: string): AppError {
  if (error instanceof AppError) return error;
  if (!(error instanceof AcmeFailure)) return unexpected(error, name);
  const { problem } = error;
  const { host } = new URL(directory);
  const of = (code: ErrorCode, what: string, hint: string): AppError =>
    new AppError({ code, what, why: problem.detail, hint, cause: error, details: problem });
  if (problem.status === undefined) {
    return of(
      'certificate/unreachable',
      `${host} cannot be asked for the certificate of ${name}`,
      'check that this server can reach it by HTTPS; holdfast tries again by itself',
    );
  }
  switch (problem.type) {
    case 'rateLimited':
      return of(
        'certificate/rate-limited',
        `${host} gives no more certificates for ${name} for now`,
        'wait: holdfast asks again when the time is over; while you try things out, set `tls.issuer: letsencrypt-staging`',
      );
    case 'externalAccountRequired':
    case 'accountDoesNotExist':
      return of(
        'certificate/account',
        `${host} does not accept this account`,
        'name the key that the authority gave you under `tls.eab` and store its secret, then: holdfast certificates renew --now',
      );
    case 'caa':
      return of(
        'certificate/caa',
        `the CAA records of ${name} do not allow ${host}`,
        'change the CAA records of the domain, then: holdfast certificates renew --now',
      );
    case 'dns':
    case 'connection':
    case 'incorrectResponse':
    case 'unauthorized':
    case 'tls':
      return of(
        'certificate/not-proved',
        `${host} could not see that ${name} is ours`,
        'correct what the reason says at your DNS or firewall, then: holdfast certificates renew --now',
      );
    default: {
      // A nonce that it has just given itself: no fault of ours either.
      const isTheirs = problem.status >= 500 || problem.type === 'badNonce';
      return of(
        isTheirs ? 'certificate/unreachable' : 'certificate/refused',
        isTheirs
          ? `${host} does not get the certificate for ${name} done`
          : `${host} refuses a certificate for ${name}`,
        isTheirs
          ? 'the authority has trouble of its own; holdfast tries again by itself'
          : 'correct what the reason says, then: holdfast certificates renew --now',
      );
    }
  }
}

/** Frames of the stack that are told: where to look, rather than all of it. */
const TOLD_FRAMES = 5;

/** Told as what it is, and remembered like any other: the names beside it are not to wait for its mending. */
function unexpected(error: unknown, name: string): AppError {
  const stack = error instanceof Error ? (error.stack ?? error.message) : String(error);
  return new AppError({
    code: 'certificate/unexpected',
    what: `holdfast itself failed at the certificate of ${name}`,
    why: stack.split('\n').slice(0, TOLD_FRAMES).join('\n'),
    hint: 'a bug in holdfast, or an answer that it does not understand: please report it with these lines; it tries again by itself',
    cause: error,
  });
}
