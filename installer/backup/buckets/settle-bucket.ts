import { AppError } from '../../errors.ts';
import type { WantedBucket } from '../../model/bucket-settings.ts';
import { sendMd5 } from '../store/content-md5.ts';
import { PATIENCE, type Patience, type S3Credentials, s3Client } from '../store/s3-client.ts';
import { withRetries } from '../store/with-retries.ts';
import { isUnsupported } from './s3-answers.ts';
import { BUCKET_SETTINGS_IN_ORDER, type BucketSetting } from './settings-of.ts';

/** One answer of a provider about a setting, seconds. */
const ANSWER_SECONDS = 30;

export interface SettleOptions {
  /** Looks and changes nothing. */
  readonly dryRun: boolean;
  readonly patience?: Patience;
}

/**
 * Brings a bucket to what the config says, step by step, and leaves alone what is that already. A step that was
 * carried out before a failure stays; the next run begins with what is missing.
 * @returns what was set, or with `dryRun` would be
 * @throws AppError class `store`; `store/unsupported` when the provider has no such setting
 */
export async function settleBucket(
  wanted: WantedBucket,
  credentials: S3Credentials,
  { dryRun, patience = PATIENCE }: SettleOptions,
): Promise<string[]> {
  const client = s3Client(wanted.place, credentials, patience);
  sendMd5(client);
  const attempts = { retryWaits: patience.retryWaits, timeoutSeconds: ANSWER_SECONDS };
  const ask = <T>(setting: BucketSetting, request: () => Promise<T>): Promise<T> =>
    withRetries(`bucket ${wanted.name}: cannot set ${setting.what}`, attempts, async () => {
      try {
        return await request();
      } catch (error) {
        throw isUnsupported(error) ? unsupported(wanted, setting, error) : error;
      }
    });
  const steps: string[] = [];
  try {
    for (const setting of BUCKET_SETTINGS_IN_ORDER) {
      if (!setting.concerns(wanted)) continue;
      const step = await ask(setting, () => setting.missing(client, wanted));
      if (step === undefined) continue;
      if (!dryRun) await ask(setting, step.carryOut);
      steps.push(step.text);
    }
    return steps;
  } finally {
    client.destroy();
  }
}

function unsupported(wanted: WantedBucket, { what }: BucketSetting, cause: unknown): AppError {
  return new AppError({
    code: 'store/unsupported',
    what: `bucket ${wanted.name}: ${wanted.place.name} cannot set ${what}`,
    why: `its S3 service has no such setting (${(cause as Error).message})`,
    hint: `take it out of storage.buckets.${wanted.name} in config.yaml, or hold the bucket at another provider`,
    cause,
  });
}
