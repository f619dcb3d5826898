/** The S3 server of the other tests does what they rely on. */
import { randomBytes } from 'node:crypto';
import {
  CompleteMultipartUploadCommand,
  CreateMultipartUploadCommand,
  GetObjectCommand,
  ListObjectsV2Command,
  PutObjectCommand,
  S3Client,
  UploadPartCommand,
} from '@aws-sdk/client-s3';
import t from 'tap';
import { startRadosgw } from './support/radosgw.ts';

t.setTimeout(1_500_000);

t.test('radosgw keeps objects, joins parts and refuses a wrong secret', async (t) => {
  const server = await startRadosgw(t);
  const client = (secretAccessKey: string) =>
    new S3Client({
      region: 'auto',
      endpoint: server.endpoint,
      forcePathStyle: true,
      credentials: { accessKeyId: server.accessKeyId, secretAccessKey },
      requestChecksumCalculation: 'WHEN_REQUIRED',
      responseChecksumValidation: 'WHEN_REQUIRED',
    });
  const s3 = client(server.secretAccessKey);
  const { bucket: Bucket } = server;
  await s3.send(new PutObjectCommand({ Bucket, Key: 'small', Body: 'hello', IfNoneMatch: '*' }));
  await t.rejects(
    s3.send(new PutObjectCommand({ Bucket, Key: 'small', Body: 'again', IfNoneMatch: '*' })),
    { name: 'PreconditionFailed' },
  );
  await t.rejects(client('wrong').send(new ListObjectsV2Command({ Bucket })), {
    name: 'SignatureDoesNotMatch',
  });

  const Key = 'large';
  const parts = [randomBytes(5 << 20), randomBytes(1 << 20)];
  const { UploadId } = await s3.send(new CreateMultipartUploadCommand({ Bucket, Key }));
  const done = [];
  for (const [index, Body] of parts.entries()) {
    const PartNumber = index + 1;
    const part = { Bucket, Key, UploadId, PartNumber, Body };
    done.push({ PartNumber, ETag: (await s3.send(new UploadPartCommand(part))).ETag });
  }
  const whole = { Bucket, Key, UploadId, MultipartUpload: { Parts: done } };
  await s3.send(new CompleteMultipartUploadCommand(whole));
  const { Body } = await s3.send(new GetObjectCommand({ Bucket, Key }));
  t.ok(Buffer.concat(parts).equals((await Body?.transformToByteArray()) ?? Buffer.of()));

  const { Contents } = await s3.send(new ListObjectsV2Command({ Bucket }));
  t.strictSame(
    Contents?.map((object) => object.Key),
    ['large', 'small'],
  );
  s3.destroy();
});
