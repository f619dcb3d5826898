import { AppError } from '../errors.ts';
import type { Secret } from '../model/secret.ts';

/** What signs: a certificate authority of one server. */
export interface Authority {
  readonly key: Secret;
  /** PEM. */
  readonly certificate: string;
}

export function cannotSign(why: string): AppError {
  return new AppError({
    code: 'host/private-ca',
    what: 'The private certificate authority of this server cannot sign',
    why,
    hint: 'Put ca.crt and ca.key back from a backup, or remove both to start a new authority that every client has to trust anew.',
  });
}
