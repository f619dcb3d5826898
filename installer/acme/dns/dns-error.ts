import { AppError } from '../../errors.ts';

/** A DNS provider that does not do as told. */
export function dnsProviderError(
  what: string,
  why: string,
  hint: string,
  cause?: unknown,
): AppError {
  return new AppError({ code: 'certificate/dns-provider', what, why, hint, cause });
}
