import type { AgentJob } from '../../model/agent-settings.ts';
import {
  BUCKET_SETTINGS,
  type BucketPlace,
  type BucketSettings,
  type WantedBucket,
} from '../../model/bucket-settings.ts';
import type { AlertRule, Contribution, Notice } from '../../model/contribution.ts';
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
  timeoutSeconds: 1_800,
};

const COPIES: AgentJob = {
  id: 'bucket-copies',
  argv: ['buckets', 'copy'],
  cron: '20 6 * * *',
  jitterSeconds: 600,
  catchUp: true,
  timeoutSeconds: 12 * 3_600,
};

/** Nobody looks at a bucket before it is needed. */
const NOT_AS_CONFIGURED: AlertRule = {
  name: 'BucketsNotAsConfigured',
  component: 'storage',
  expression: `holdfast_job_last_failed{job=~"${JOB.id}|${COPIES.id}"} == 1`,
  for: '0s',
  severity: 'warn',
  summary:
    'The job {{ $labels.job }} has failed: a bucket is not as the config says, or its copy lacks objects.',
  runbook: 'buckets',
};

/** The product's own buckets: what they shall be is set at their provider by `holdfast buckets set`. */
export const storage: Component = {
  id: 'storage',
  enabled: (config) => Object.keys(config.storage.buckets).length > 0,

  needs: (config) => ({
    secrets: wantedBuckets(config).flatMap(({ name, providers }) =>
      providers.flatMap(([, provider]) =>
        providerSecrets(provider).map((secret) => ({
          name: secret,
          optional: false,
          usedBy: `storage.buckets.${name}`,
        })),
      ),
    ),
  }),

  contribute(input): Contribution {
    const wanted = wantedBuckets(input.config);
    const buckets = wanted.map((one) => wantedBucket(input, one));
    const settings: BucketSettings = { version: 1, buckets };
    // The address of R2 is made of the account, which is a secret.
    const holdsAccount = wanted.some(({ providers }) =>
      providers.some(([, { kind, endpoint }]) => kind === 'r2' && endpoint === undefined),
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
      jobs: buckets.some(({ copyTo }) => copyTo !== undefined) ? [JOB, COPIES] : [JOB],
      alerts: [NOT_AS_CONFIGURED],
      notices: buckets.flatMap(removalNotice),
    };
  },
};

type ObjectProvider = Exclude<Config['storage']['providers'][string], { kind: 'directory' }>;

interface ConfiguredBucket {
  readonly name: string;
  readonly bucket: Bucket;
  /** Where it is, and where its copy is if there is one. */
  readonly providers: readonly (readonly [string, ObjectProvider])[];
}

/** The rules refuse a bucket without a provider, or in a directory. */
function wantedBuckets(config: Config): ConfiguredBucket[] {
  return Object.entries(config.storage.buckets).flatMap(([name, bucket]) => {
    const providers = [bucket.provider, bucket.replicateTo].flatMap((id) => {
      const provider = id === undefined ? undefined : config.storage.providers[id];
      if (id === undefined || provider === undefined || provider.kind === 'directory') return [];
      return [[id, provider] as const];
    });
    return providers.length === 0 ? [] : [{ name, bucket, providers }];
  });
}

function wantedBucket(
  input: ComponentInput,
  { name, bucket, providers }: ConfiguredBucket,
): WantedBucket {
  const { infrequentAfter, archiveAfter, deleteAfter } = bucket.lifecycle ?? {};
  const places = providers.map(
    ([id, provider]): BucketPlace => ({
      kind: provider.kind,
      name: id,
      endpoint: endpointOf(provider, input.secret),
      region: provider.region,
      bucket: bucket.name,
      ...credentialSecrets(provider),
    }),
  );
  const [place, copyTo] = places;
  if (place === undefined) throw new Error(`bucket ${name} has no provider`);
  return {
    name,
    place,
    ...(copyTo === undefined ? {} : { copyTo }),
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

function removalNotice({ name, place, lifecycle }: WantedBucket): Notice[] {
  const deleteDays = lifecycle?.deleteDays;
  if (deleteDays === undefined) return [];
  return [
    {
      code: 'storage/removal',
      text: `bucket ${name}: ${place.name} removes objects that are older than ${deleteDays} days, for good.`,
    },
  ];
}
