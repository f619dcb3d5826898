import type { Secret } from '../../model/secret.ts';
import type { Provider } from './section.ts';

type ObjectStore = Exclude<Provider, { kind: 'directory' }>;

/** Names of the two secrets that a `secretRef` stands for. */
export function credentialSecrets({ secretRef }: Pick<ObjectStore, 'secretRef'>) {
  return {
    accessKeyIdSecret: `${secretRef}_ACCESS_KEY_ID`,
    secretAccessKeySecret: `${secretRef}_SECRET_ACCESS_KEY`,
  };
}

/** Those of the key that removes backups, where it is another one. */
export function deletingSecrets({ deleteSecretRef }: Pick<ObjectStore, 'deleteSecretRef'>) {
  if (deleteSecretRef === undefined) return {};
  const { accessKeyIdSecret, secretAccessKeySecret } = credentialSecrets({
    secretRef: deleteSecretRef,
  });
  return {
    deleteAccessKeyIdSecret: accessKeyIdSecret,
    deleteSecretAccessKeySecret: secretAccessKeySecret,
  };
}

/** Every secret without which the provider cannot be reached. */
export function providerSecrets(provider: ObjectStore): string[] {
  const { accessKeyIdSecret, secretAccessKeySecret } = credentialSecrets(provider);
  return [accessKeyIdSecret, secretAccessKeySecret, ...accountOf(provider)];
}

/** The address of its S3 service, which R2 makes of a secret. */
export function endpointOf(provider: ObjectStore, secret: (name: string) => Secret): string {
  if (provider.endpoint !== undefined) return provider.endpoint;
  const [account] = accountOf(provider);
  // The rules refuse an R2 provider with neither.
  if (account === undefined) throw new Error('a provider with neither endpoint nor account');
  return `https://${secret(account).reveal()}.r2.cloudflarestorage.com`;
}

function accountOf(provider: ObjectStore): string[] {
  if (provider.kind !== 'r2' || provider.endpoint !== undefined) return [];
  return provider.accountSecret === undefined ? [] : [provider.accountSecret];
}
