import { createHash } from 'node:crypto';
import { posix } from 'node:path';
import { type Client, crypto } from 'acme-client';
import { z } from 'zod';
import type { Host } from '../host/host.ts';
import type { Paths } from '../model/paths.ts';
import { Secret } from '../model/secret.ts';

/** Who asks: one key for each directory. */
export interface Account {
  readonly key: Secret;
  /** Its address at the authority; absent until it is registered. */
  readonly url?: string;
  readonly eab?: { readonly keyId: string; readonly key: Secret };
}

const StoredSchema = z.object({
  version: z.literal(1),
  directory: z.string(),
  /** PEM. */
  key: z.string(),
  url: z.string().optional(),
});

export function acmeFolder(paths: Paths): string {
  return posix.join(paths.tls, 'acme');
}

function accountFile(paths: Paths, directory: string): string {
  const id = createHash('sha256').update(directory).digest('hex').slice(0, 16);
  return posix.join(acmeFolder(paths), 'accounts', `${id}.json`);
}

/** The account of a directory; its key is made and stored at the first time. */
export async function openAccount(host: Host, paths: Paths, directory: string): Promise<Account> {
  const bytes = await host.read(accountFile(paths, directory));
  if (bytes !== undefined) {
    const { key, url } = StoredSchema.parse(JSON.parse(new TextDecoder().decode(bytes)));
    return { key: new Secret(key), ...(url === undefined ? {} : { url }) };
  }
  const account = { key: new Secret((await crypto.createPrivateEcdsaKey('P-256')).toString()) };
  await storeAccount(host, paths, directory, account);
  return account;
}

/** Registers the account where that was not done, with its owner's mail address. */
export async function registerAccount(
  { host, paths, directory }: { host: Host; paths: Paths; directory: string },
  client: Client,
  account: Account,
  contact: string | undefined,
): Promise<void> {
  if (account.url !== undefined) return;
  await client.createAccount({
    termsOfServiceAgreed: true,
    ...(contact === undefined ? {} : { contact: [`mailto:${contact}`] }),
  });
  await storeAccount(host, paths, directory, { ...account, url: client.getAccountUrl() });
}

/** The authority does not know the account any more: the next run registers it again. */
export async function forgetRegistration(
  host: Host,
  paths: Paths,
  directory: string,
): Promise<void> {
  const { key } = await openAccount(host, paths, directory);
  await storeAccount(host, paths, directory, { key });
}

async function storeAccount(
  host: Host,
  paths: Paths,
  directory: string,
  { key, url }: Account,
): Promise<void> {
  await host.makeDirectory(acmeFolder(paths), { mode: 0o700, uid: 0, gid: 0 });
  const stored: z.input<typeof StoredSchema> = {
    version: 1,
    directory,
    key: key.reveal(),
    ...(url === undefined ? {} : { url }),
  };
  await host.write(accountFile(paths, directory), `${JSON.stringify(stored)}\n`, {
    mode: 0o600,
    uid: 0,
    gid: 0,
  });
}
