import { AppError } from '../errors.ts';
import { isPrintableAscii } from '../model/scram.ts';
import type { Secret } from '../model/secret.ts';
import type { SecretNeed } from '../model/secret-need.ts';

/**
 * Passwords of the platform's servers are spelled by every client, and clients disagree on other characters.
 * @throws AppError `secret/not-ascii` that names each, never its value
 */
export function requirePrintable(
  needs: readonly SecretNeed[],
  values: ReadonlyMap<string, Secret>,
): void {
  const wrong = needs.filter(({ name, generate }) => {
    const value = values.get(name);
    return generate?.kind === 'password' && value !== undefined && !isPrintableAscii(value);
  });
  if (wrong.length === 0) return;
  throw new AppError({
    code: 'secret/not-ascii',
    what: `${wrong.map(({ name }) => name).join(', ')}: a password of a server has characters that are not printable ASCII; nothing was changed`,
    why: 'clients disagree on how to spell them during the login',
    hint: wrong.map(({ name }) => `holdfast secrets set ${name}`).join('\n'),
  });
}
