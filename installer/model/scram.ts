import { createHash, createHmac, pbkdf2Sync } from 'node:crypto';
import { AppError } from '../errors.ts';
import type { Secret } from './secret.ts';

/** PostgreSQL's own count, and the least that RFC 7677 allows. */
const ITERATIONS = 4096;

/**
 * What PostgreSQL stores instead of a password (`SCRAM-SHA-256$<iterations>:<salt>$<StoredKey>:<ServerKey>`,
 * RFC 5802 and 7677). Sent in place of the password, so that the password itself is in no statement that
 * a log or another session could show. `saltSeed` must be unique to the role; it is not a secret.
 * @throws AppError `secret/not-ascii`: other characters would have to be normalised as every client does.
 */
export function scramVerifier(password: Secret, saltSeed: string): string {
  const text = password.reveal();
  if (!isPrintableAscii(password)) {
    throw new AppError({
      code: 'secret/not-ascii',
      what: 'A database password has characters that are not printable ASCII',
      why: 'clients disagree on how to spell them during the login',
      hint: 'store one of letters and digits: holdfast secrets list, then: holdfast secrets set',
    });
  }
  const salt = createHash('sha256').update(`holdfast scram ${saltSeed}`).digest().subarray(0, 16);
  return verifierWithSalt(text, salt);
}

/** Whether every client spells the password alike. */
export function isPrintableAscii(password: Secret): boolean {
  return /^[\x20-\x7e]+$/.test(password.reveal());
}

/** The verifier for a given salt; `scramVerifier` chooses the salt. */
export function verifierWithSalt(password: string, salt: Buffer): string {
  const salted = pbkdf2Sync(password, salt, ITERATIONS, 32, 'sha256');
  const hmac = (key: string) => createHmac('sha256', salted).update(key).digest();
  const storedKey = createHash('sha256').update(hmac('Client Key')).digest('base64');
  const serverKey = hmac('Server Key').toString('base64');
  return `SCRAM-SHA-256$${ITERATIONS}:${salt.toString('base64')}$${storedKey}:${serverKey}`;
}
