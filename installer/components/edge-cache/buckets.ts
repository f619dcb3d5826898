import { AppError } from '../../errors.ts';
import type { FileSpec, Reaction } from '../../model/contribution.ts';
import type { SecretNeed } from '../../model/secret-need.ts';
import type { ComponentInput } from '../component.ts';
import { edgeFolders, NGINX_UID } from '../nginx/places.ts';
import type { Config } from '../sections.ts';
import { credentialSecrets, endpointOf, providerSecrets } from '../storage/credentials.ts';
import { cacheHosts, placeOf, type SignedOrigin } from './origins.ts';

/** Files of `nginx/lua/buckets/`. */
const SCRIPTS = ['requests.lua', 'signature.lua'];

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

/** What `nginx/lua/buckets/requests.lua` reads, and it. Lua comes with every start of a worker, so a reload is enough. */
export function bucketFiles(input: ComponentInput, onChange: readonly Reaction[]): FileSpec[] {
  const hosts = signedHosts(input.config);
  if (hosts.length === 0) return [];
  const buckets = hosts.map(({ host, origin }) => [host, settingsOf(input, origin)] as const);
  return [
    {
      path: `${edgeFolders(input.paths).certificates}/buckets.secrets.json`,
      component: 'edge-cache',
      content: { text: `${JSON.stringify(Object.fromEntries(buckets), undefined, 2)}\n` },
      secret: true,
      mode: 0o400,
      uid: NGINX_UID,
      gid: NGINX_UID,
      onChange,
    },
    ...SCRIPTS.map(
      (name): FileSpec => ({
        path: `nginx/lua/buckets/${name}`,
        component: 'edge-cache',
        content: { template: `nginx/lua/buckets/${name}`, data: {}, format: 'plain' },
        onChange,
      }),
    ),
  ];
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
