import {
  DeleteBucketLifecycleCommand,
  GetBucketLifecycleConfigurationCommand,
  type LifecycleRule,
  PutBucketLifecycleConfigurationCommand,
  type S3Client,
} from '@aws-sdk/client-s3';
import type { BucketLifecycle, BucketPlace } from '../../model/bucket-settings.ts';
import { isRefused, present } from './s3-answers.ts';

/** Ours among the rules of a bucket; those of others are left as they are. */
const RULE_ID = 'holdfast';

/** Parts of uploads that nobody finished are paid for and seen by nobody, days. */
const ABANDONED_DAYS = 7;

/** The rules that a bucket shall have, or undefined where they are that already. */
export async function lifecycleChange(
  client: S3Client,
  { bucket, kind }: BucketPlace,
  wanted: BucketLifecycle,
): Promise<readonly LifecycleRule[] | undefined> {
  const rule = ruleFor(wanted, kind);
  let rules: readonly LifecycleRule[];
  try {
    const command = new GetBucketLifecycleConfigurationCommand({ Bucket: bucket });
    rules = (await present(() => client.send(command)))?.Rules ?? [];
  } catch (error) {
    // A key that may not read the rules has not set one either.
    if (rule === undefined && isRefused(error)) return undefined;
    throw error;
  }
  const others = rules.filter(({ ID }) => ID !== RULE_ID);
  const ours = rules.find(({ ID }) => ID === RULE_ID);
  if (rule === undefined) return ours === undefined ? undefined : others;
  if (ours !== undefined && meaning(ours) === meaning(rule)) return undefined;
  return [...others, rule];
}

/** Replaces all rules of the bucket in one step. */
export async function putLifecycle(
  client: S3Client,
  bucket: string,
  rules: readonly LifecycleRule[],
): Promise<void> {
  await client.send(
    rules.length === 0
      ? new DeleteBucketLifecycleCommand({ Bucket: bucket })
      : new PutBucketLifecycleConfigurationCommand({
          Bucket: bucket,
          LifecycleConfiguration: { Rules: [...rules] },
        }),
  );
}

function ruleFor(wanted: BucketLifecycle, kind: BucketPlace['kind']): LifecycleRule | undefined {
  const { infrequentDays, archiveDays, deleteDays } = wanted;
  if ([infrequentDays, archiveDays, deleteDays].every((days) => days === undefined))
    return undefined;
  const transitions = [
    ...(infrequentDays === undefined
      ? []
      : [{ Days: infrequentDays, StorageClass: 'STANDARD_IA' as const }]),
    ...(archiveDays === undefined ? [] : [{ Days: archiveDays, StorageClass: 'GLACIER' as const }]),
  ];
  return {
    ID: RULE_ID,
    Status: 'Enabled',
    Filter: { Prefix: '' },
    ...(transitions.length === 0 ? {} : { Transitions: transitions }),
    ...(deleteDays === undefined
      ? {}
      : {
          Expiration: { Days: deleteDays },
          // In a bucket with versions the former only hides an object, which would stay for ever. R2 has none.
          ...(kind === 'r2' ? {} : { NoncurrentVersionExpiration: { NoncurrentDays: deleteDays } }),
        }),
    AbortIncompleteMultipartUpload: { DaysAfterInitiation: ABANDONED_DAYS },
  };
}

/** Stores answer with the fields in another order and with some of their own. */
function meaning(rule: LifecycleRule): string {
  return JSON.stringify([
    rule.Status,
    rule.Filter?.Prefix ?? rule.Prefix ?? '',
    (rule.Transitions ?? []).map(({ Days, StorageClass }) => `${StorageClass} ${Days}`).sort(),
    rule.Expiration?.Days ?? null,
    rule.NoncurrentVersionExpiration?.NoncurrentDays ?? null,
    rule.AbortIncompleteMultipartUpload?.DaysAfterInitiation ?? null,
  ]);
}
