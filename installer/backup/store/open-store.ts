import { AppError } from '../../errors.ts';
import type { BackupStore } from '../../model/backup-settings.ts';
import type { Secret } from '../../model/secret.ts';
import { DirectoryStore } from './directory-store.ts';
import type { S3Credentials } from './s3-client.ts';
import type { Store } from './store.ts';

/** Reads a secret by name; undefined when it is not set. */
export type ReadSecret = (name: string) => Promise<Secret | undefined>;

/** @throws AppError `secret/missing` */
export async function openStore(settings: BackupStore, readSecret: ReadSecret): Promise<Store> {
  if (settings.kind === 'directory') return new DirectoryStore(settings.path);
  const { name, accessKeyIdSecret, secretAccessKeySecret } = settings;
  const credentialsOf = async (id: string, key: string): Promise<S3Credentials> => ({
    accessKeyId: await required(id, name, readSecret),
    secretAccessKey: await required(key, name, readSecret),
  });
  const credentials = await credentialsOf(accessKeyIdSecret, secretAccessKeySecret);
  const { deleteAccessKeyIdSecret: id, deleteSecretAccessKeySecret: key } = settings;
  const deleting = id === undefined || key === undefined ? undefined : await credentialsOf(id, key);
  // The SDK costs memory and start-up time that a directory does not need.
  const { S3Store } = await import('./s3-store.ts');
  return new S3Store(settings, credentials, undefined, deleting);
}

async function required(name: string, store: string, readSecret: ReadSecret): Promise<Secret> {
  const secret = await readSecret(name);
  if (secret !== undefined) return secret;
  throw new AppError({
    code: 'secret/missing',
    what: `the store ${store} needs the secret ${name}`,
    hint: `holdfast secrets set ${name}`,
  });
}
