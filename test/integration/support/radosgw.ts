/** A real S3 server for the tests: Ceph's radosgw in a container of its own. */
import { randomBytes } from 'node:crypto';
import { CreateBucketCommand, S3Client } from '@aws-sdk/client-s3';
import { type Cleaning, docker, logs, outcome, start, until } from './docker.ts';

const here = new URL('../radosgw/', import.meta.url).pathname;

export interface S3Server {
  /** `http://ADDRESS:7480`, reached from this machine; path style. */
  readonly endpoint: string;
  readonly accessKeyId: string;
  readonly secretAccessKey: string;
  /** An empty bucket that is already there. */
  readonly bucket: string;
  readonly container: string;
  readonly stop: () => Promise<void>;
}

export interface S3Options {
  /** Network to join, for a client that is itself a container; the engine's own when left out. */
  readonly network?: string;
}

/** Starts one and waits until it serves its user (some 15 s); it goes when the test ends. */
export async function startRadosgw(t: Cleaning, options: S3Options = {}): Promise<S3Server> {
  const built = await outcome([`${here}build.sh`], 1200);
  if (built.code !== 0) throw new Error(`radosgw image: ${built.stderr.trim()}`);
  const accessKeyId = `HF${randomBytes(9).toString('hex').toUpperCase()}`;
  const secretAccessKey = randomBytes(20).toString('hex');
  const network = options.network ?? 'bridge';
  const container = await start(t, [
    `--network=${network}`,
    `--env=S3_ACCESS_KEY=${accessKeyId}`,
    `--env=S3_SECRET_KEY=${secretAccessKey}`,
    built.stdout.trim(),
  ]);
  const place = `{{(index .NetworkSettings.Networks "${network}").IPAddress}}`;
  const address = await docker('inspect', '--format', place, container);
  const endpoint = `http://${address}:7480`;
  const answers = async () => (await fetch(endpoint).catch(() => undefined))?.status === 200;
  try {
    await until('radosgw serves', 120, async () => {
      const running = await docker('inspect', '--format', '{{.State.Running}}', container);
      if (running !== 'true') throw new Error('radosgw ended');
      return answers();
    });
  } catch (error) {
    throw new Error(`radosgw did not start:\n${(await logs(container)).slice(-2000)}`, {
      cause: error,
    });
  }
  const bucket = 'backups';
  // By any other region the SDK asks for a place that radosgw does not know.
  const region = 'us-east-1';
  const credentials = { accessKeyId, secretAccessKey };
  const s3 = new S3Client({ region, endpoint, forcePathStyle: true, credentials });
  await s3.send(new CreateBucketCommand({ Bucket: bucket }));
  s3.destroy();
  const stop = async () => {
    await outcome(['docker', 'rm', '-f', '-v', container]);
  };
  return { endpoint, accessKeyId, secretAccessKey, bucket, container, stop };
}
