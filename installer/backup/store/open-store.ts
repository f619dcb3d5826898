import { AppError } from '../../errors.ts';
import type { BackupStore } from '../../model/backup-settings.ts';
import type { Secret } from '../../model/secret.ts';
import { DirectoryStore } from './directory-store.ts';
import type { Store } from './store.ts';

/** Reads a secret by name; undefined when it is not set. */
export type ReadSecret = (name: string) => Promise<Secret | undefined>;

/** @throws AppError `secret/missing` */
export async function openStore(settings: BackupStore, readSecret: ReadSecret): Promise<Store> {
  if (settings.kind === 'directory') return new DirectoryStore(settings.path);
  const accessKeyId = await required(settings.accessKeyIdSecret, settings.name, readSecret);
  const secretAccessKey = await required(settings.secretAccessKeySecret, settings.name, readSecret);
  // The SDK costs memory and start-up time that a directory does not need.
  const { S3Store } = await import('./s3-store.ts');
  return new S3Store(settings, { accessKeyId, secretAccessKey });
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
