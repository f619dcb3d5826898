import { randomBytes } from 'node:crypto';
import {
  CreateBucketCommand,
  DeleteObjectCommand,
  GetBucketEncryptionCommand,
  GetBucketVersioningCommand,
  GetPublicAccessBlockCommand,
  ListObjectsV2Command,
  PutBucketEncryptionCommand,
  PutBucketVersioningCommand,
  PutObjectCommand,
  PutPublicAccessBlockCommand,
  type S3Client,
} from '@aws-sdk/client-s3';
import type { WantedBucket } from '../../model/bucket-settings.ts';
import { lifecycleChange, putLifecycle } from './lifecycle.ts';
import { isRefused, present } from './s3-answers.ts';

/** One thing that a provider keeps of a bucket. */
export interface BucketSetting {
  /** Completes "cannot set …". */
  readonly what: string;
  /** Whether it is to be looked at for this bucket at all. */
  readonly concerns: (wanted: WantedBucket) => boolean;
  /** Not asked for by name: where the provider has no such thing, that is told and is no failure. */
  readonly isDefault?: true;
  /** Gives the step that is missing, with its text for people; undefined where all is as wanted. */
  readonly missing: (client: S3Client, wanted: WantedBucket) => Promise<Step | undefined>;
}

export interface Step {
  readonly text: string;
  readonly carryOut: () => Promise<unknown>;
}

/** Stands in Amazon's API for the first of its regions, which may not be named. */
const UNNAMED_REGION = 'us-east-1';

const existence: BucketSetting = {
  what: 'the bucket itself',
  concerns: () => true,
  missing: async (client, { place }) => {
    const Bucket = place.bucket;
    // A HEAD needs the same right, but its answer has no body that tells a wrong key from a missing right.
    try {
      const list = new ListObjectsV2Command({ Bucket, MaxKeys: 1 });
      if ((await present(() => client.send(list))) !== undefined) return undefined;
    } catch (error) {
      // A key that may not list does not tell, and none that may not makes buckets.
      if (isRefused(error)) return undefined;
      throw error;
    }
    const isNamed = place.kind === 's3' && place.region !== UNNAMED_REGION;
    const region = { CreateBucketConfiguration: { LocationConstraint: place.region as 'EU' } };
    return {
      text: 'made',
      carryOut: () => client.send(new CreateBucketCommand({ Bucket, ...(isNamed ? region : {}) })),
    };
  },
};

/**
 * R2 lets nobody in through this API without a key. The fourth switch, BlockPublicAcls, stays as it is: with
 * IgnorePublicAcls it opens nothing, and Ceph's radosgw then refuses every upload (seen with 18.2, whoever sends it).
 */
const privacy: BucketSetting = {
  what: 'that nobody reads without a key (private)',
  isDefault: true,
  concerns: (wanted) => wanted.private && wanted.place.kind === 's3',
  missing: async (client, { place }) => {
    const Bucket = place.bucket;
    const answer = await present(() => client.send(new GetPublicAccessBlockCommand({ Bucket })));
    const now = answer?.PublicAccessBlockConfiguration;
    const closed = {
      IgnorePublicAcls: true,
      BlockPublicPolicy: true,
      RestrictPublicBuckets: true,
    } as const;
    if (Object.keys(closed).every((key) => now?.[key as keyof typeof closed] === true)) {
      return undefined;
    }
    const PublicAccessBlockConfiguration = {
      ...closed,
      BlockPublicAcls: now?.BlockPublicAcls === true,
    };
    return {
      text: 'closed to everybody without a key',
      carryOut: () =>
        client.send(new PutPublicAccessBlockCommand({ Bucket, PublicAccessBlockConfiguration })),
    };
  },
};

const versioning: BucketSetting = {
  what: 'versioning',
  concerns: (wanted) => wanted.versioning,
  missing: async (client, { place }) => {
    const Bucket = place.bucket;
    const answer = await present(() => client.send(new GetBucketVersioningCommand({ Bucket })));
    if (answer?.Status === 'Enabled') return undefined;
    return {
      text: 'versioning on',
      carryOut: () =>
        client.send(
          new PutBucketVersioningCommand({
            Bucket,
            VersioningConfiguration: { Status: 'Enabled' },
          }),
        ),
    };
  },
};

/** R2 encrypts everything, whether asked to or not. A stronger kind that somebody has set stays. */
const encryption: BucketSetting = {
  what: 'encryption by the store',
  concerns: (wanted) => wanted.encrypted && wanted.place.kind === 's3',
  missing: async (client, { place }) => {
    const Bucket = place.bucket;
    const answer = await present(() => client.send(new GetBucketEncryptionCommand({ Bucket })));
    const rules = answer?.ServerSideEncryptionConfiguration?.Rules ?? [];
    if (rules.some((rule) => rule.ApplyServerSideEncryptionByDefault !== undefined)) {
      return undefined;
    }
    const rule = { ApplyServerSideEncryptionByDefault: { SSEAlgorithm: 'AES256' as const } };
    return {
      text: 'encryption AES256',
      carryOut: async () => {
        await requireEncryption(client, Bucket);
        await client.send(
          new PutBucketEncryptionCommand({
            Bucket,
            ServerSideEncryptionConfiguration: { Rules: [rule] },
          }),
        );
      },
    };
  },
};

/** A store takes the setting also when it has no keys to encrypt by, and then refuses every upload. */
async function requireEncryption(client: S3Client, bucket: string): Promise<void> {
  const object = { Bucket: bucket, Key: `holdfast-probe-${randomBytes(8).toString('hex')}` };
  try {
    await client.send(
      new PutObjectCommand({ ...object, Body: 'probe', ServerSideEncryption: 'AES256' }),
    );
  } catch (error) {
    if ((error as Error).name !== 'InvalidRequest') throw error;
    const message = 'it refuses an upload that asks for it';
    throw Object.assign(new Error(message, { cause: error }), { name: 'NotImplemented' });
  }
  try {
    await client.send(new DeleteObjectCommand(object));
  } catch (error) {
    // A key without the right to remove leaves these five bytes behind, once.
    if (!isRefused(error)) throw error;
  }
}

const lifecycle: BucketSetting = {
  what: 'lifecycle rules',
  concerns: (wanted) => wanted.lifecycle !== undefined,
  missing: async (client, { place, lifecycle = {} }) => {
    const rules = await lifecycleChange(client, place, lifecycle);
    if (rules === undefined) return undefined;
    const { infrequentDays, archiveDays, deleteDays } = lifecycle;
    const ages = [
      ...(infrequentDays === undefined ? [] : [`infrequent access after ${infrequentDays} days`]),
      ...(archiveDays === undefined ? [] : [`archive after ${archiveDays} days`]),
      ...(deleteDays === undefined ? [] : [`removal after ${deleteDays} days`]),
    ];
    return {
      text: ages.length === 0 ? 'our lifecycle rule removed' : ages.join(', '),
      carryOut: () => putLifecycle(client, place.bucket, rules),
    };
  },
};

/** In the order in which they are set: nobody shall read what is stored before the bucket is closed. */
export const BUCKET_SETTINGS_IN_ORDER: readonly BucketSetting[] = [
  existence,
  privacy,
  encryption,
  versioning,
  lifecycle,
];
