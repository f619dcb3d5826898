import { AppError } from '../../errors.ts';
import type { Host } from '../../host/host.ts';
import type { BackupStore } from '../../model/backup-settings.ts';
import type { Paths } from '../../model/paths.ts';
import type { Secret } from '../../model/secret.ts';
import { DirectoryStore } from './directory-store.ts';
import type { S3Credentials, S3Settings } from './s3-client.ts';
import type { Store } from './store.ts';
import { StoreMark } from './store-mark.ts';

/** Reads a secret by name; undefined when it is not set. */
export type ReadSecret = (name: string) => Promise<Secret | undefined>;

/** The server that a store belongs to: by what it remembers, its folders are told from those of other disks. */
export interface StoreOwner {
  readonly host: Host;
  readonly paths: Paths;
}

/**
 * @param owner absent where a folder is read that somebody names, as by `restore --from`
 * @throws AppError `secret/missing`
 */
export async function openStore(
  settings: BackupStore,
  readSecret: ReadSecret,
  owner?: StoreOwner,
): Promise<Store> {
  if (settings.kind === 'directory') {
    const mark = owner === undefined ? undefined : new StoreMark(owner.host, owner.paths, settings);
    return new DirectoryStore(settings.path, mark);
  }
  const credentials = await storeCredentials(settings, readSecret);
  const { deleteAccessKeyIdSecret: id, deleteSecretAccessKeySecret: key } = settings;
  const deleting =
    id === undefined || key === undefined
      ? undefined
      : await storeCredentials(
          { name: settings.name, accessKeyIdSecret: id, secretAccessKeySecret: key },
          readSecret,
        );
  // The SDK costs memory and start-up time that a directory does not need.
  const { S3Store } = await import('./s3-store.ts');
  return new S3Store(settings, credentials, undefined, deleting);
}

/** The key that a store is reached by. @throws AppError `secret/missing` */
export async function storeCredentials(
  {
    name,
    accessKeyIdSecret,
    secretAccessKeySecret,
  }: Pick<S3Settings, 'name' | 'accessKeyIdSecret' | 'secretAccessKeySecret'>,
  readSecret: ReadSecret,
): Promise<S3Credentials> {
  return {
    accessKeyId: await required(accessKeyIdSecret, name, readSecret),
    secretAccessKey: await required(secretAccessKeySecret, name, readSecret),
  };
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
