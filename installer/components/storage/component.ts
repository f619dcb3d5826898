import type { AgentJob } from '../../model/agent-settings.ts';
import {
  BUCKET_SETTINGS,
  type BucketSettings,
  type WantedBucket,
} from '../../model/bucket-settings.ts';
import type { Contribution, Notice } from '../../model/contribution.ts';
import type { Component, ComponentInput } from '../component.ts';
import type { Config } from '../sections.ts';
import { credentialSecrets, endpointOf, providerSecrets } from './credentials.ts';
import type { Bucket } from './section.ts';

const DAY = 86_400;

/** Once a day, beside no job of the presets: somebody may have changed a bucket at the provider. */
const JOB: AgentJob = {
  id: 'buckets',
  argv: ['buckets', 'set'],
  cron: '50 5 * * *',
  jitterSeconds: 600,
  catchUp: true,
  timeoutSeconds: 600,
};

/** The product's own buckets: what they shall be is set at their provider by `holdfast buckets set`. */
export const storage: Component = {
  id: 'storage',
  enabled: (config) => Object.keys(config.storage.buckets).length > 0,

  needs: (config) => ({
    secrets: objectBuckets(config).flatMap(([name, , provider]) =>
      providerSecrets(provider).map((secret) => ({
        name: secret,
        optional: false,
        usedBy: `storage.buckets.${name}`,
      })),
    ),
  }),

  contribute(input): Contribution {
    const { config } = input;
    const settings: BucketSettings = {
      version: 1,
      buckets: objectBuckets(config).map(([name]) => wantedBucket(input, name)),
    };
    const holdsAccount = objectBuckets(config).some(
      ([, , provider]) => provider.kind === 'r2' && provider.endpoint === undefined,
    );
    return {
      files: [
        {
          path: BUCKET_SETTINGS,
          component: 'storage',
          content: { text: `${JSON.stringify(settings, undefined, 2)}\n` },
          secret: holdsAccount,
        },
      ],
      jobs: [JOB],
      notices: settings.buckets.flatMap(removalNotice),
    };
  },
};

type ObjectProvider = Exclude<Config['storage']['providers'][string], { kind: 'directory' }>;

/** The rules refuse a bucket without a provider, or in a directory. */
function objectBuckets(config: Config): [string, Bucket, ObjectProvider][] {
  return Object.entries(config.storage.buckets).flatMap(([name, bucket]) => {
    const provider = config.storage.providers[bucket.provider];
    if (provider === undefined || provider.kind === 'directory') return [];
    return [[name, bucket, provider] as [string, Bucket, ObjectProvider]];
  });
}

function wantedBucket(input: ComponentInput, wantedName: string): WantedBucket {
  const found = objectBuckets(input.config).find(([name]) => name === wantedName);
  if (found === undefined) throw new Error(`no bucket ${wantedName}`);
  const [name, bucket, provider] = found;
  const { infrequentAfter, archiveAfter, deleteAfter } = bucket.lifecycle ?? {};
  return {
    name,
    place: {
      kind: provider.kind,
      name: bucket.provider,
      endpoint: endpointOf(provider, input.secret),
      region: provider.region,
      bucket: bucket.name,
      ...credentialSecrets(provider),
    },
    private: bucket.private,
    versioning: bucket.versioning,
    encrypted: bucket.encryption !== 'none',
    lifecycle: {
      ...(infrequentAfter === undefined ? {} : { infrequentDays: days(infrequentAfter) }),
      ...(archiveAfter === undefined ? {} : { archiveDays: days(archiveAfter) }),
      ...(deleteAfter === undefined ? {} : { deleteDays: days(deleteAfter) }),
    },
  };
}

/** Providers count whole days, and nothing shall go sooner than it was said. */
function days(seconds: number): number {
  return Math.ceil(seconds / DAY);
}

function removalNotice({ name, place, lifecycle: { deleteDays } }: WantedBucket): Notice[] {
  if (deleteDays === undefined) return [];
  return [
    {
      code: 'storage/removal',
      text: `bucket ${name}: ${place.name} removes objects that are older than ${deleteDays} days, for good.`,
    },
  ];
}
