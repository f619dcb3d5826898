import type { Bucket, Provider } from '../storage/section.ts';
import { error, type Finding, type PathStep, warning } from './finding.ts';
import { didYouMean } from './nearest.ts';
import type { Rule } from './rule.ts';

export const providersAreComplete: Rule = function* ({ file }) {
  for (const [name, provider] of Object.entries(file.storage.providers)) {
    const path = ['storage', 'providers', name];
    if (provider.kind !== 'r2') continue;
    if (provider.accountSecret === undefined && provider.endpoint === undefined) {
      yield { ...error('r2-account', path, 'needs accountSecret or endpoint'), at: 'key' };
    }
  }
};

export const bucketsFit: Rule = function* ({ file, config, declared }) {
  const used = new Set(
    Object.values(config.services).flatMap((service) =>
      service.uses.flatMap((use) => (use.kind === 'bucket' ? [use.name] : [])),
    ),
  );
  for (const [name, bucket] of Object.entries(file.storage.buckets)) {
    const path = ['storage', 'buckets', name];
    yield* knownProvider(bucket.provider, [...path, 'provider'], declared.providers);
    if (bucket.replicateTo !== undefined) {
      yield* knownProvider(bucket.replicateTo, [...path, 'replicateTo'], declared.providers);
      if (bucket.replicateTo === bucket.provider) {
        yield error(
          'replicate-to-self',
          [...path, 'replicateTo'],
          'is the provider of the bucket itself',
        );
      }
      yield* copyCanLie(bucket, config.storage.providers, path);
    }
    yield* sparesBackups(bucket, config, path);
    yield* lifecycleRuns(bucket, path, used.has(name));
    const provider = own(config.storage.providers, bucket.provider);
    if (provider !== undefined) yield* providerCan(bucket, provider, path);
  }
  for (const [index, { origin }] of file.edgeCache.entries()) {
    const bucket = origin.startsWith('bucket:') ? origin.slice('bucket:'.length) : undefined;
    if (bucket !== undefined && !declared.buckets.includes(bucket)) {
      const message = `no bucket ${bucket} in storage.buckets${didYouMean(bucket, declared.buckets)}`;
      yield error('unknown-bucket', ['edgeCache', index, 'origin'], message);
    }
  }
};

type Providers = Readonly<Record<string, Provider>>;

function* copyCanLie(
  { provider: from, replicateTo }: Bucket,
  providers: Providers,
  path: readonly PathStep[],
): Generator<Finding> {
  const target = replicateTo === undefined ? undefined : own(providers, replicateTo);
  if (target === undefined || replicateTo === from) return;
  const at = [...path, 'replicateTo'];
  if (target.kind === 'directory') {
    const message = 'is a directory: the copy of a bucket needs a provider of kind s3 or r2';
    yield error('bucket-in-directory', at, message);
  } else if (isSamePlace(target, own(providers, from))) {
    yield error('replicate-to-self', at, 'is the same place as the provider of the bucket');
  }
}

/** The provider would remove or freeze what a restore needs, of whatever age it is. */
function* sparesBackups(
  bucket: Bucket,
  { storage, backups }: Parameters<Rule>[0]['config'],
  path: readonly PathStep[],
): Generator<Finding> {
  if (bucket.lifecycle === undefined || bucket.name !== backups.bucket) return;
  const place = own(storage.providers, bucket.provider);
  const holdsBackups = backups.jobs.some(
    ({ provider }) =>
      provider === bucket.provider || isSamePlace(own(storage.providers, provider), place),
  );
  if (!holdsBackups) return;
  const message =
    'ages all of a bucket, and the backups lie in it: give the product one of its own';
  yield error('lifecycle-on-backups', [...path, 'lifecycle'], message);
}

function isSamePlace(a: Provider | undefined, b: Provider | undefined): boolean {
  if (a === undefined || b === undefined || a.kind === 'directory' || b.kind === 'directory') {
    return false;
  }
  if (a.endpoint !== undefined || b.endpoint !== undefined) return a.endpoint === b.endpoint;
  return a.kind === 'r2' && b.kind === 'r2' && a.accountSecret === b.accountSecret;
}

export function* knownProvider(
  name: string,
  path: readonly PathStep[],
  providers: readonly string[],
): Generator<Finding> {
  if (providers.includes(name)) return;
  const message = `no provider ${name} in storage.providers${didYouMean(name, providers)}`;
  yield error('unknown-provider', path, message);
}

/** What R2 and directories cannot do. */
function* providerCan(
  bucket: Bucket,
  provider: Provider,
  path: readonly PathStep[],
): Generator<Finding> {
  if (provider.kind === 'directory') {
    yield error(
      'bucket-in-directory',
      [...path, 'provider'],
      'is a directory: a bucket needs a provider of kind s3 or r2',
    );
  }
  if (provider.kind !== 'r2') return;
  if (bucket.versioning) {
    yield error(
      'r2-versioning',
      [...path, 'versioning'],
      'R2 has no versioning: use a copy job or another provider',
    );
  }
  if (bucket.lifecycle?.archiveAfter !== undefined) {
    yield error(
      'r2-archive',
      [...path, 'lifecycle', 'archiveAfter'],
      'R2 has no archive tier: use infrequentAfter or deleteAfter',
    );
  }
}

function* lifecycleRuns(
  bucket: Bucket,
  path: readonly PathStep[],
  isUsed: boolean,
): Generator<Finding> {
  const { infrequentAfter, archiveAfter, deleteAfter } = bucket.lifecycle ?? {};
  const steps = [
    ['infrequentAfter', infrequentAfter],
    ['archiveAfter', archiveAfter],
    ['deleteAfter', deleteAfter],
  ] as const;
  const present = steps.filter(([, age]) => age !== undefined);
  for (const [index, [key, age]] of present.entries()) {
    const before = present[index - 1];
    if (before !== undefined && (age ?? 0) <= (before[1] ?? 0)) {
      yield error('lifecycle-order', [...path, 'lifecycle', key], `has to come after ${before[0]}`);
    }
  }
  if (archiveAfter !== undefined && isUsed) {
    const message = 'a service uses this bucket, and archived objects take hours to read';
    yield warning('archive-in-use', [...path, 'lifecycle', 'archiveAfter'], message);
  }
}

export function own<T>(record: Readonly<Record<string, T>>, key: string): T | undefined {
  return Object.hasOwn(record, key) ? record[key] : undefined;
}
