import { AppError } from '../../errors.ts';
import type { WantedBucket } from '../../model/bucket-settings.ts';
import { sendMd5 } from '../store/content-md5.ts';
import { type Patience, type S3Credentials, s3Client } from '../store/s3-client.ts';
import { withRetries } from '../store/with-retries.ts';
import { isUnsupported } from './s3-answers.ts';
import { BUCKET_SETTINGS_IN_ORDER, type BucketSetting } from './settings-of.ts';

/** Shorter than for objects: an apply waits for these. */
const SETTING_PATIENCE: Patience = {
  connectSeconds: 10,
  idleSeconds: 20,
  retryWaits: [500, 2_000],
};

export interface SettleOptions {
  /** Looks and changes nothing. */
  readonly dryRun: boolean;
  /** The bucket is where the copy of one is held. */
  readonly isCopy?: boolean;
  readonly patience?: Patience;
}

export interface SettledBucket {
  /** What was set, or with `dryRun` would be. */
  readonly steps: readonly string[];
  /** What the provider has no setting for and nobody asked for by name. */
  readonly notes: readonly string[];
  /** `store/unsupported`, one for each setting that the provider lacks; the others are set all the same. */
  readonly lacking: readonly AppError[];
}

/**
 * Brings a bucket to what the config says, step by step, and leaves alone what is that already. A step that was
 * carried out before a failure stays; the next run begins with what is missing.
 * @throws AppError class `store`
 */
export async function settleBucket(
  wanted: WantedBucket,
  credentials: S3Credentials,
  { dryRun, isCopy = false, patience = SETTING_PATIENCE }: SettleOptions,
): Promise<SettledBucket> {
  const client = s3Client(wanted.place, credentials, patience);
  sendMd5(client);
  const attempts = { retryWaits: patience.retryWaits, timeoutSeconds: patience.idleSeconds };
  const ask = <T>(setting: BucketSetting, request: () => Promise<T>): Promise<T> =>
    withRetries(`bucket ${wanted.name}: cannot set ${setting.what}`, attempts, async () => {
      try {
        return await request();
      } catch (error) {
        throw isUnsupported(error) ? unsupported(wanted, setting, isCopy, error) : error;
      }
    });
  const steps: string[] = [];
  const notes: string[] = [];
  const lacking: AppError[] = [];
  try {
    for (const setting of BUCKET_SETTINGS_IN_ORDER) {
      if (!setting.concerns(wanted)) continue;
      try {
        const step = await ask(setting, () => setting.missing(client, wanted));
        if (step === undefined) continue;
        if (!dryRun) await ask(setting, step.carryOut);
        steps.push(step.text);
      } catch (error) {
        if (!(error instanceof AppError) || error.code !== UNSUPPORTED) throw error;
        if (setting.isDefault === true) notes.push(`${error.what}: see to it there`);
        else lacking.push(error);
      }
    }
    return { steps, notes, lacking };
  } finally {
    client.destroy();
  }
}

const UNSUPPORTED = 'store/unsupported';

function unsupported(
  wanted: WantedBucket,
  { what }: BucketSetting,
  isCopy: boolean,
  cause: unknown,
): AppError {
  return new AppError({
    code: UNSUPPORTED,
    what: `bucket ${wanted.name}: ${wanted.place.name} cannot set ${what}`,
    why: `its S3 service has no such setting (${(cause as Error).message})`,
    hint: isCopy
      ? `hold the copy at another provider: storage.buckets.${wanted.name}.replicateTo in config.yaml`
      : `take it out of storage.buckets.${wanted.name} in config.yaml, or hold the bucket at another provider`,
    cause,
  });
}
