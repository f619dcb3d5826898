import { execFile } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { mkdir, writeFile } from 'node:fs/promises';
import { createServer, request } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import {
  CompleteMultipartUploadCommand,
  CreateMultipartUploadCommand,
  GetBucketEncryptionCommand,
  GetBucketLifecycleConfigurationCommand,
  GetBucketVersioningCommand,
  GetObjectCommand,
  GetPublicAccessBlockCommand,
  HeadBucketCommand,
  ListObjectsV2Command,
  PutBucketLifecycleConfigurationCommand,
  PutObjectCommand,
  S3Client,
  UploadPartCommand,
} from '@aws-sdk/client-s3';
import t from 'tap';
import { copyBucket } from '../../installer/backup/buckets/copy-bucket.ts';
import { settleBucket } from '../../installer/backup/buckets/settle-bucket.ts';
import type { WantedBucket } from '../../installer/model/bucket-settings.ts';
import { pathsUnder } from '../../installer/model/paths.ts';
import { Secret } from '../../installer/model/secret.ts';
import { startRadosgw } from './support/radosgw.ts';

t.setTimeout(1_500_000);
const server = await startRadosgw(t);

t.test(
  'the S3 server of the tests keeps objects, joins parts and refuses a wrong secret',
  async (t) => {
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
  },
);

const credentials = {
  accessKeyId: new Secret(server.accessKeyId),
  secretAccessKey: new Secret(server.secretAccessKey),
};
const patience = { connectSeconds: 10, idleSeconds: 30, retryWaits: [] };
const settled = (wanted: WantedBucket, dryRun = false) =>
  settleBucket(wanted, credentials, { dryRun, patience });
const set = async (wanted: WantedBucket, dryRun = false) => (await settled(wanted, dryRun)).steps;

/** Whoever looks at the store beside the program. */
function clientOf(t: { teardown(fn: () => void): void }): S3Client {
  const { endpoint, accessKeyId, secretAccessKey } = server;
  const s3 = new S3Client({
    region: 'us-east-1',
    endpoint,
    forcePathStyle: true,
    credentials: { accessKeyId, secretAccessKey },
  });
  t.teardown(() => s3.destroy());
  return s3;
}

function documents(over: Partial<WantedBucket> = {}): WantedBucket {
  return {
    name: 'docs',
    place: {
      kind: 's3',
      name: 'main',
      endpoint: server.endpoint,
      region: 'us-east-1',
      bucket: 'acme-documents',
      accessKeyIdSecret: 'MAIN_ACCESS_KEY_ID',
      secretAccessKeySecret: 'MAIN_SECRET_ACCESS_KEY',
    },
    private: true,
    versioning: true,
    encrypted: false,
    lifecycle: { infrequentDays: 30, archiveDays: 90, deleteDays: 2555 },
    ...over,
  };
}

t.test('a bucket becomes what the config says, and what is so already is left alone', async (t) => {
  const s3 = clientOf(t);
  const Bucket = 'acme-documents';
  const all = [
    'made',
    'closed to everybody without a key',
    'versioning on',
    'infrequent access after 30 days, archive after 90 days, removal after 2555 days',
  ];
  t.strictSame(await set(documents(), true), all, 'a dry run says what is missing');
  await t.rejects(s3.send(new HeadBucketCommand({ Bucket })), { name: 'NotFound' });
  t.strictSame(await set(documents()), all);
  t.equal((await s3.send(new GetBucketVersioningCommand({ Bucket }))).Status, 'Enabled');
  t.match(await s3.send(new GetPublicAccessBlockCommand({ Bucket })), {
    PublicAccessBlockConfiguration: { IgnorePublicAcls: true, RestrictPublicBuckets: true },
  });
  // This store has no keys to encrypt by: it would take the setting, and no upload afterwards.
  t.match(await settled(documents({ encrypted: true })), {
    steps: [],
    lacking: [
      {
        code: 'store/unsupported',
        what: 'bucket docs: main cannot set encryption by the store',
      },
    ],
  });
  await t.rejects(s3.send(new GetBucketEncryptionCommand({ Bucket })), {
    name: 'ServerSideEncryptionConfigurationNotFoundError',
  });
  await s3.send(new PutObjectCommand({ Bucket, Key: 'by-the-app', Body: 'goes in' }));
  t.strictSame(await set(documents()), [], 'a second time there is nothing to do');

  const rulesOf = async () =>
    (await s3.send(new GetBucketLifecycleConfigurationCommand({ Bucket }))).Rules ?? [];
  const others = {
    ID: 'by-hand',
    Status: 'Enabled' as const,
    Filter: { Prefix: 'tmp/' },
    Expiration: { Days: 3 },
  };
  await s3.send(
    new PutBucketLifecycleConfigurationCommand({
      Bucket,
      LifecycleConfiguration: { Rules: [others, ...(await rulesOf())] },
    }),
  );
  t.strictSame(await set(documents()), [], "somebody else's rule is none of our business");
  t.strictSame(await set(documents({ lifecycle: { deleteDays: 365 } })), [
    'removal after 365 days',
  ]);
  const rules = new Map((await rulesOf()).map((rule) => [rule.ID, rule]));
  t.strictSame([...rules.keys()].sort(), ['by-hand', 'holdfast']);
  t.equal(rules.get('by-hand')?.Expiration?.Days, 3);
  t.match(rules.get('holdfast'), {
    Expiration: { Days: 365 },
    NoncurrentVersionExpiration: { NoncurrentDays: 365 },
  });
  t.strictSame(await set(documents({ lifecycle: {} })), ['our lifecycle rule removed']);
  t.strictSame(
    (await rulesOf()).map(({ ID }) => ID),
    ['by-hand'],
  );
  t.strictSame(
    await set(documents({ versioning: false, private: false, encrypted: false, lifecycle: {} })),
    [],
    'no protection is taken away',
  );
  t.equal((await s3.send(new GetBucketVersioningCommand({ Bucket }))).Status, 'Enabled');
});

t.test('a store that lacks a setting is named, and a wrong key is', async (t) => {
  const proxy = createServer((incoming, answer) => {
    if (/[?&](versioning|publicAccessBlock)/.test(incoming.url ?? '')) {
      incoming.resume();
      answer.writeHead(501, { 'content-type': 'application/xml' });
      answer.end('<Error><Code>NotImplemented</Code><Message>not here</Message></Error>');
      return;
    }
    const { method = 'GET', url = '/', headers } = incoming;
    const there = request(`${server.endpoint}${url}`, { method, headers, agent: false }, (from) => {
      answer.writeHead(from.statusCode ?? 502, from.headers);
      from.pipe(answer);
    });
    there.on('error', (error) => answer.destroy(error));
    incoming.pipe(there);
  });
  await new Promise<void>((resolve) => proxy.listen(0, '127.0.0.1', resolve));
  t.teardown(() => proxy.close());
  const { port } = proxy.address() as AddressInfo;
  const { place } = documents();
  const poor = { ...place, bucket: 'poor', endpoint: `http://127.0.0.1:${port}` };
  t.strictSame(
    await settled(documents({ place: poor })).then(({ lacking, ...rest }) => ({
      ...rest,
      lacking: lacking.map(({ code, what }) => `${code} ${what}`),
    })),
    {
      steps: [
        'made',
        'infrequent access after 30 days, archive after 90 days, removal after 2555 days',
      ],
      // The default: nobody asked for it by name.
      notes: [
        'bucket docs: main cannot set that nobody reads without a key (private): see to it there',
      ],
      lacking: ['store/unsupported bucket docs: main cannot set versioning'],
    },
    'all others are set',
  );
  const asCopy = { dryRun: true, isCopy: true, patience };
  t.match(await settleBucket(documents({ place: poor }), credentials, asCopy), {
    lacking: [{ hint: /storage\.buckets\.docs\.replicateTo/ }],
  });
  const wrong = { ...credentials, secretAccessKey: new Secret('wrong') };
  await t.rejects(settleBucket(documents(), wrong, { dryRun: false, patience }), {
    code: 'store/wrong-secret',
  });
});

t.test(
  'what a copy lacks is copied with its headers, and nothing is taken away there',
  async (t) => {
    const s3 = clientOf(t);
    const from = { ...documents().place, bucket: 'acme-originals' };
    const to = { ...from, bucket: 'acme-originals-copy' };
    await set(documents({ place: from }));
    await set(documents({ place: to }));
    const large = randomBytes(12 * 1024 ** 2 + 7);
    const odd = 'Dossier é/ü+&?#%41 .txt';
    const headers = {
      ContentType: 'text/plain; charset=utf-8',
      CacheControl: 'private, max-age=60',
      ContentDisposition: 'attachment; filename="a.txt"',
      Metadata: { owner: 'shop' },
    };
    const stored = (bucket: string, Key: string, Body: string | Buffer) =>
      s3.send(new PutObjectCommand({ Bucket: bucket, Key, Body, ...headers }));
    await stored(from.bucket, odd, 'hello');
    await stored(from.bucket, 'large', large);
    await stored(to.bucket, 'deleted at the origin', 'still here');
    const failures: unknown[] = [];
    const copy = () =>
      copyBucket(
        { place: from, credentials },
        { place: to, credentials },
        { onFailure: (error) => failures.push(error), patience },
      );
    t.strictSame(await copy(), { objects: 2, bytes: large.length + 5, failed: 0 });
    t.strictSame(failures, []);
    for (const [Key, content] of [
      [odd, Buffer.from('hello')],
      ['large', large],
    ] as const) {
      const { Body, ...answer } = await s3.send(new GetObjectCommand({ Bucket: to.bucket, Key }));
      t.match(answer, headers, Key);
      t.ok(content.equals((await Body?.transformToByteArray()) ?? Buffer.of()), Key);
    }
    const { Contents } = await s3.send(new ListObjectsV2Command({ Bucket: to.bucket }));
    t.strictSame(
      Contents?.map(({ Key }) => Key).sort(),
      [odd, 'deleted at the origin', 'large'].sort(),
    );
    await t.rejects(
      copyBucket(
        { place: { ...from, bucket: 'nowhere' }, credentials },
        { place: to, credentials },
        { onFailure: () => undefined, patience },
      ),
      { code: 'store/no-bucket' },
    );
  },
);

t.test('the command sets the one bucket although the other has no key', async (t) => {
  const root = t.testdir();
  const paths = pathsUnder(root);
  const { place } = documents();
  const keyless = { ...place, accessKeyIdSecret: 'NONE_ACCESS_KEY_ID' };
  const second = documents({
    name: 'images',
    place: { ...place, bucket: 'acme-images' },
    copyTo: { ...place, name: 'copy', bucket: 'acme-images-copy' },
  });
  const buckets = [documents({ place: keyless }), second];
  await mkdir(join(paths.stack, 'agent'), { recursive: true });
  await mkdir(paths.secrets, { recursive: true, mode: 0o700 });
  await writeFile(join(paths.stack, 'agent/buckets.json'), JSON.stringify({ version: 1, buckets }));
  const keep = (name: string, value: string) =>
    writeFile(join(paths.secrets, name), value, { mode: 0o600 });
  await keep('MAIN_ACCESS_KEY_ID', server.accessKeyId);
  await keep('MAIN_SECRET_ACCESS_KEY', server.secretAccessKey);
  const run = (...argv: string[]) =>
    new Promise<{ code: number; stdout: string; stderr: string }>((resolve) => {
      const program = new URL('../../installer/cli/main.ts', import.meta.url).pathname;
      execFile(
        process.execPath,
        [program, 'buckets', ...argv],
        { env: { ...process.env, HOLDFAST_ROOT: root } },
        (error, stdout, stderr) => resolve({ code: Number(error?.code ?? 0), stdout, stderr }),
      );
    });
  const first = await run('set');
  t.equal(first.code, 3, first.stderr);
  t.match(first.stdout, /^docs: not as the config says\nimages: set: made, closed/);
  t.match(first.stderr, /secret\/missing/);
  t.match(first.stderr, /holdfast secrets set NONE_ACCESS_KEY_ID/);
  const answer = JSON.parse((await run('set', '--json')).stdout);
  t.match(answer, {
    version: 1,
    dryRun: false,
    buckets: [
      { name: 'docs', steps: [], notes: [], errors: [{ code: 'secret/missing' }] },
      { name: 'images', steps: [], notes: [], errors: [] },
    ],
  });
  await keep('NONE_ACCESS_KEY_ID', 'nobody');
  const unknown = await run('set', '--dry-run');
  t.match(unknown.stderr, /then `holdfast buckets set`[\s\S]*store\/wrong-secret/);
  const copied = await run('copy');
  t.equal(copied.code, 0, copied.stderr);
  t.match(copied.stdout, /^images: 0 objects \(0 B\) copied to copy$/m, 'its bucket was made');
});
