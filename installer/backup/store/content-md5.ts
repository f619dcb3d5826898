import { createHash } from 'node:crypto';
import type { S3Client } from '@aws-sdk/client-s3';

/**
 * Requests that must carry a checksum get Content-MD5, on all of a client or on one command: the newer checksums,
 * which are all that the SDK knows, are not known to every store.
 */
export function sendMd5({ middlewareStack }: Pick<S3Client, 'middlewareStack'>): void {
  middlewareStack.add(
    (next) => async (input) => {
      const { headers, body } = input.request as {
        readonly headers: Record<string, string>;
        readonly body?: unknown;
      };
      // Others are streams and buffers of objects, whose senders see to it themselves.
      if (typeof body === 'string' && body !== '') {
        for (const name of Object.keys(headers)) {
          if (/^x-amz-(sdk-)?checksum-/i.test(name)) delete headers[name];
        }
        headers['content-md5'] = md5(Buffer.from(body));
      }
      return await next(input);
    },
    { step: 'build', priority: 'low', name: 'contentMd5' },
  );
}

/** The store compares it with what arrived, so a byte that flipped on the way is refused. */
export function md5(content: Uint8Array): string {
  return createHash('md5').update(content).digest('base64');
}
