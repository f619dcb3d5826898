import type { Readable } from 'node:stream';
import { setTimeout as wait } from 'node:timers/promises';
import { GetObjectCommand, type S3Client } from '@aws-sdk/client-s3';
import type { Patience } from './s3-client.ts';
import { mayPass, storeError } from './s3-errors.ts';
import type { ByteRange } from './store.ts';

export interface DownloadSource {
  readonly client: S3Client;
  readonly bucket: string;
  readonly key: string;
  readonly patience: Patience;
}

/** The bytes of an object; a connection that is cut is taken up again where it broke off, within bounds. */
export async function* download(
  source: DownloadSource,
  range: ByteRange | undefined,
): AsyncGenerator<Buffer> {
  const { key, patience } = source;
  let position = range?.from ?? 0;
  let end = range?.to;
  let failures = 0;
  for (;;) {
    try {
      const opened = await open(source, position, range?.to);
      end ??= opened.end;
      for await (const chunk of opened.body) {
        position += (chunk as Buffer).length;
        failures = 0;
        yield chunk as Buffer;
      }
      if (end === undefined || position >= end) return;
      throw Object.assign(new Error(`it ended at byte ${position} of ${end}`), {
        code: 'ERR_STREAM_PREMATURE_CLOSE',
      });
    } catch (error) {
      const pause = patience.retryWaits[failures];
      failures += 1;
      if (pause === undefined || !mayPass(error)) {
        throw storeError(error, `could not read ${key} from byte ${position} on`);
      }
      await wait(pause);
    }
  }
}

async function open(
  { client, bucket, key, patience }: DownloadSource,
  from: number,
  to: number | undefined,
): Promise<{ body: AsyncIterable<unknown>; end: number | undefined }> {
  const wanted = from > 0 || to !== undefined;
  const answer = await client.send(
    new GetObjectCommand({
      Bucket: bucket,
      Key: key,
      ...(wanted ? { Range: `bytes=${from}-${to === undefined ? '' : to - 1}` } : {}),
    }),
    { abortSignal: AbortSignal.timeout(patience.idleSeconds * 1000) },
  );
  if (from > 0 && answer.ContentRange?.startsWith(`bytes ${from}-`) !== true) {
    throw new Error('the store does not give the range that was asked for');
  }
  const { ContentLength: length } = answer;
  return {
    body: stopWhenIdle(answer.Body as Readable, patience.idleSeconds),
    end: to ?? (length === undefined ? undefined : from + length),
  };
}

async function* stopWhenIdle(body: Readable, seconds: number): AsyncGenerator<unknown> {
  const timer = setTimeout(() => {
    body.destroy(Object.assign(new Error(`no byte for ${seconds} s`), { code: 'ETIMEDOUT' }));
  }, seconds * 1000);
  try {
    for await (const chunk of body) {
      timer.refresh();
      yield chunk;
      // The time that the reader took does not count.
      timer.refresh();
    }
  } finally {
    clearTimeout(timer);
    body.destroy();
  }
}
