import { AppError } from '../../errors.ts';
import type { FileSpec, Reaction } from '../../model/contribution.ts';
import type { SecretNeed } from '../../model/secret-need.ts';
import type { ComponentInput } from '../component.ts';
import { luaFiles, luaSecretsFile } from '../nginx/lua-files.ts';
import type { Config } from '../sections.ts';
import { credentialSecrets, endpointOf, providerSecrets } from '../storage/credentials.ts';
import { cacheHosts, placeOf, type SignedOrigin } from './origins.ts';

const SCRIPTS = ['buckets/requests.lua', 'buckets/signature.lua'];

/** Keys of the buckets that nginx signs for. */
export function bucketSecrets(config: Config): SecretNeed[] {
  const needs = signedHosts(config).flatMap(({ host, origin }) =>
    providerSecrets(origin.provider).map((name) => ({
      name,
      optional: false,
      usedBy: `edgeCache ${host}`,
    })),
  );
  return [...new Map(needs.map((need) => [need.name, need])).values()];
}

/** What `nginx/lua/buckets/requests.lua` reads, and it. */
export function bucketFiles(input: ComponentInput, onChange: readonly Reaction[]): FileSpec[] {
  const hosts = signedHosts(input.config);
  if (hosts.length === 0) return [];
  const buckets = hosts.map(({ host, origin }) => [host, settingsOf(input, origin)] as const);
  const owner = { component: 'edge-cache', onChange };
  const text = `${JSON.stringify(Object.fromEntries(buckets), undefined, 2)}\n`;
  return [luaSecretsFile(input, 'buckets.secrets.json', text, owner), ...luaFiles(SCRIPTS, owner)];
}

export function signsForBuckets(config: Config): boolean {
  return signedHosts(config).length > 0;
}

function signedHosts(config: Config): { host: string; origin: SignedOrigin }[] {
  return cacheHosts(config).flatMap(({ host, origin }) =>
    origin.kind === 'signed-bucket' ? [{ host, origin }] : [],
  );
}

function settingsOf({ secret }: ComponentInput, { provider, bucket, signedUrls }: SignedOrigin) {
  const { accessKeyIdSecret, secretAccessKeySecret } = credentialSecrets(provider);
  const url = `${endpointOf(provider, secret)}/${bucket}`;
  if (!URL.canParse(url)) throw malformedAccount(provider);
  return {
    ...placeOf(url),
    region: provider.region,
    accessKeyId: secret(accessKeyIdSecret).reveal(),
    secretAccessKey: secret(secretAccessKeySecret).reveal(),
    signedUrls,
  };
}

function malformedAccount(provider: SignedOrigin['provider']): AppError {
  const name = provider.kind === 'r2' ? provider.accountSecret : undefined;
  return new AppError({
    code: 'secret/r2-account',
    what: `The secret ${name ?? ''} is no account id: no address can be made of it`,
    hint: `Set it anew: holdfast secrets set ${name ?? ''}`,
  });
}
