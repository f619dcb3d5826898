import { createHash } from 'node:crypto';
import { AppError } from '../../errors.ts';
import type { Secret } from '../../model/secret.ts';

/**
 * A password file for `auth_basic_user_file` from a secret with lines `user:password`.
 * Salted SHA-1, the strongest form that nginx checks by itself on every system; the salt comes from the
 * line, so that the same secret always renders the same.
 * @throws AppError `secret/basic-auth`
 */
export function passwordFile(name: string, secret: Secret): string {
  const lines = secret
    .reveal()
    .split(/\r?\n/)
    .filter((line) => line.trim() !== '');
  if (lines.length === 0) throw malformed(name);
  return lines.map((line) => `${passwordLine(name, line)}\n`).join('');
}

function passwordLine(name: string, line: string): string {
  const [, user, password] = /^([^:\p{Cc}]+):([^\p{Cc}]+)$/u.exec(line) ?? [];
  if (user === undefined || password === undefined) throw malformed(name);
  const salt = createHash('sha256').update(`${name}\0${line}`).digest().subarray(0, 8);
  const digest = createHash('sha1').update(password).update(salt).digest();
  return `${user}:{SSHA}${Buffer.concat([digest, salt]).toString('base64')}`;
}

function malformed(name: string): AppError {
  return new AppError({
    code: 'secret/basic-auth',
    what: `The secret ${name} has no lines of the form user:password`,
    hint: `Set it anew: holdfast secrets set ${name}`,
  });
}
