import { AppError } from '../errors.ts';
import type { Host } from '../host/host.ts';
import type { Secret } from '../model/secret.ts';
import type { SecretNeed } from '../model/secret-need.ts';
import { generateSecret } from './generate.ts';
import { requirePrintable } from './printable.ts';

/**
 * Values for the needed secrets that can be generated and are not stored yet; nothing is stored here.
 * @throws AppError `secret/missing` that lists every secret that a person has to set, with the command for each;
 * `secret/not-ascii`
 */
export async function generateMissing(
  host: Host,
  needs: readonly SecretNeed[],
  stored: ReadonlyMap<string, Secret>,
): Promise<Map<string, Secret>> {
  const missing = needs.filter(
    ({ name, generate, optional }) => generate === undefined && !optional && !stored.has(name),
  );
  if (missing.length > 0) throw missingError(missing);
  requirePrintable(needs, stored);
  const generated = new Map<string, Secret>();
  for (const { name, generate } of needs) {
    if (generate === undefined || stored.has(name)) continue;
    generated.set(name, await generateSecret(host, generate));
  }
  return generated;
}

function missingError(missing: readonly SecretNeed[]): AppError {
  const width = Math.max(...missing.map(({ name }) => name.length));
  return new AppError({
    code: 'secret/missing',
    what: `${missing.length} secret${missing.length === 1 ? ' is' : 's are'} not set; nothing was changed`,
    why: missing.map(({ name, usedBy }) => `${name.padEnd(width)}  needed by ${usedBy}`).join('\n'),
    hint: missing.map(({ name }) => `holdfast secrets set ${name}`).join('\n'),
    details: { missing: missing.map(({ name, usedBy }) => ({ name, usedBy })) },
  });
}
