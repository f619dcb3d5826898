import { posix } from 'node:path';
import { AppError } from '../../errors.ts';
import type { BackupStore } from '../../model/backup-settings.ts';
import type { SecretNeed } from '../../model/secret-need.ts';
import type { ComponentInput } from '../component.ts';
import { LOCAL_PROVIDER } from '../rules/resolve-backups.ts';
import type { Config } from '../sections.ts';
import {
  credentialSecrets,
  deletingSecrets,
  endpointOf,
  providerSecrets,
} from '../storage/credentials.ts';
import type { Provider } from '../storage/section.ts';

/** The place that a job writes to; a storage class of its own makes a store of its own. */
export function backupStore(
  { config, paths, secret }: ComponentInput,
  providerName: string,
  jobClass: string | undefined,
): BackupStore {
  const provider = config.storage.providers[providerName];
  if (provider === undefined) throw unknownProvider(providerName);
  const name = jobClass === undefined ? providerName : `${providerName}-${jobClass.toLowerCase()}`;
  if (provider.kind === 'directory') {
    // The local one stands where this server's state does, also below another root.
    const path =
      provider.path === LOCAL_PROVIDER.path ? posix.join(paths.backups, 'store') : provider.path;
    return { kind: 'directory', name, path };
  }
  const storageClass = jobClass ?? config.backups.storageClass;
  return {
    kind: provider.kind,
    name,
    endpoint: endpointOf(provider, secret),
    region: provider.region,
    bucket: config.backups.bucket ?? '',
    ...credentialSecrets(provider),
    ...deletingSecrets(provider),
    ...(storageClass === undefined ? {} : { storageClass }),
  };
}

/** Whether the rendered settings hold the value of a secret: an account that R2's address is made of. */
export function holdsAccount(config: Config): boolean {
  return usedProviders(config).some(
    (provider) => provider.kind === 'r2' && provider.endpoint === undefined,
  );
}

/** Credentials of every provider that a job writes to. */
export function storeSecrets(config: Config): SecretNeed[] {
  return usedProviders(config).flatMap((provider) => {
    if (provider.kind === 'directory') return [];
    return [...providerSecrets(provider), ...Object.values(deletingSecrets(provider))].map(
      (name) => ({
        name,
        optional: false,
        usedBy: 'backups',
      }),
    );
  });
}

function usedProviders(config: Config): Provider[] {
  const names = new Set(config.backups.jobs.map(({ provider }) => provider));
  return [...names].flatMap((name) => config.storage.providers[name] ?? []);
}

function unknownProvider(name: string): AppError {
  return new AppError({
    code: 'config/unknown-provider',
    what: `there is no storage provider ${name}`,
    hint: 'add it to storage.providers in config.yaml',
  });
}
