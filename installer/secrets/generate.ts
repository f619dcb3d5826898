import { randomBytes } from 'node:crypto';
import type { Host } from '../host/host.ts';
import { Secret } from '../model/secret.ts';
import type { SecretNeed } from '../model/secret-need.ts';

/** A new random value. An age identity is made by `age-keygen` on the server and read from its output. */
export async function generateSecret(
  host: Host,
  how: NonNullable<SecretNeed['generate']>,
): Promise<Secret> {
  switch (how.kind) {
    case 'password':
      // Letters, digits, - and _: safe in a URL and in every config language without quoting.
      return new Secret(randomBytes(how.bytes).toString('base64url'));
    case 'hex':
      return new Secret(randomBytes(how.bytes).toString('hex'));
    case 'age-identity': {
      const { stdout } = await host.run({ argv: ['age-keygen'] });
      return new Secret(stdout);
    }
  }
}
