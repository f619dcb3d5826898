import { posix } from 'node:path';
import { parse } from 'yaml';
import { readText } from '../apply/read-text.ts';
import { COMPOSE_SECRETS_FILE } from '../engine/compose.ts';
import type { Host } from '../host/host.ts';
import type { Contribution } from '../model/contribution.ts';
import type { Manifest } from '../model/manifest.ts';
import type { Paths } from '../model/paths.ts';
import { Secret } from '../model/secret.ts';
import { sha256 } from '../plan/files.ts';

type SecretEnvironment = NonNullable<Contribution['secretEnvironment']>;

/**
 * What the services have for secrets, which the store may be ahead of: of every container, by variable. Undefined
 * where the file is not the one that we wrote.
 */
export async function secretsInForce(
  host: Host,
  paths: Pick<Paths, 'stack'>,
  { files, intents }: Pick<Manifest, 'files' | 'intents'>,
): Promise<SecretEnvironment | undefined> {
  const path = posix.join(paths.stack, COMPOSE_SECRETS_FILE);
  const text = await readText(host, path);
  if (text === undefined || ![files[path], intents[path]].includes(sha256(text))) return undefined;
  const { services } = parse(text) as ComposeSecrets;
  return Object.fromEntries(
    Object.entries(services).map(([service, { environment }]) => [
      service,
      Object.fromEntries(
        Object.entries(environment).map(([name, value]) => [
          name,
          // Doubled, since compose replaces `$NAME`.
          new Secret(value.replaceAll('$$', () => '$')),
        ]),
      ),
    ]),
  );
}

interface ComposeSecrets {
  readonly services: Readonly<
    Record<string, { readonly environment: Readonly<Record<string, string>> }>
  >;
}
