import { join } from 'node:path';
import {
  CreateBucketCommand,
  DeleteObjectCommand,
  HeadObjectCommand,
  ListObjectVersionsCommand,
  PutBucketPolicyCommand,
  S3Client,
} from '@aws-sdk/client-s3';
import t from 'tap';
import { applyRetention } from '../../installer/backup/apply-retention.ts';
import { newBackupId } from '../../installer/backup/backup-id.ts';
import type { BackupContext } from '../../installer/backup/context.ts';
import { listStored } from '../../installer/backup/inventory.ts';
import { backupPrefix, jobPrefix } from '../../installer/backup/keys.ts';
import { readObject } from '../../installer/backup/read-object.ts';
import { restoreTestIdentityFile } from '../../installer/backup/recovery-keys.ts';
import { withBackup } from '../../installer/backup/restore/choose-backup.ts';
import { runBackup } from '../../installer/backup/run-backup.ts';
import type { S3Settings } from '../../installer/backup/store/s3-client.ts';
import { S3Store } from '../../installer/backup/store/s3-store.ts';
import type { Store } from '../../installer/backup/store/store.ts';
import { markerBytes } from '../../installer/backup/sweep.ts';
import { writerIdentity } from '../../installer/backup/writer-id.ts';
import type { BackupSource } from '../../installer/model/backup-settings.ts';
import { Secret } from '../../installer/model/secret.ts';
import { BackupStack, NOTHING_YOUNG } from '../support/backup-stack.ts';
import { FaultProxy } from '../support/fault-proxy.ts';
import { outcome, until } from './support/docker.ts';
import { platformImages } from './support/platform-images.ts';
import { startRadosgw } from './support/radosgw.ts';

/** What is kept, where, and for how long, on a real S3 server. */

const { postgres = '' } = await platformImages('postgres');
const stack = await BackupStack.lab(postgres);
t.teardown(() => stack.stop());
const server = await startRadosgw(t);
const proxy = await FaultProxy.start(server.endpoint);
t.teardown(() => proxy.stop());
t.afterEach(() => proxy.set(undefined));

const credentials = {
  accessKeyId: new Secret(server.accessKeyId),
  secretAccessKey: new Secret(server.secretAccessKey),
};
const s3 = new S3Client({
  ...{ region: 'us-east-1', endpoint: server.endpoint, forcePathStyle: true },
  credentials: { accessKeyId: server.accessKeyId, secretAccessKey: server.secretAccessKey },
});
t.teardown(() => s3.destroy());
await s3.send(new CreateBucketCommand({ Bucket: 'second' }));

const secretNames = { accessKeyIdSecret: 'A_ID', secretAccessKeySecret: 'A_KEY' };
const first: S3Settings = {
  ...{ kind: 's3', name: 'first', endpoint: server.endpoint, region: 'us-east-1' },
  ...{ bucket: server.bucket, ...secretNames },
};
const second: S3Settings = { ...first, name: 'second', bucket: 'second', endpoint: proxy.endpoint };
const PATIENT = { connectSeconds: 30, idleSeconds: 120, retryWaits: [50, 100] };
const open = (settings: S3Settings): Store => new S3Store(settings, credentials, PATIENT);

// Something whose dump is several parts of random bytes.
const container = `${stack.project}-blob-1`;
await stack.docker([
  ...['run', '--detach', '--init', '--network', 'none', '--name', container, ...stack.labels()],
  ...[
    '--entrypoint',
    'sh',
    postgres,
    '-c',
    'head -c 12000000 /dev/urandom >/tmp/blob; sleep infinity',
  ],
]);
const source = {
  ...{ kind: 'accessory', name: 'blob', container, volumes: [] },
  dump: ['cat', '/tmp/blob'],
  restore: ['sh', '-c', 'cat >/tmp/restored'],
} as const satisfies BackupSource;
const blob = stack.job({ name: 'blob', source, store: 'first' });
const copy = stack.job({ name: 'copy', source: { kind: 'backup', name: 'blob' }, store: 'second' });
const settings = { stores: [first, second], jobs: [blob, copy] };
const context = stack.context(settings, {
  openStore: async (name) => open(name === 'first' ? first : second),
});
const identityFile = restoreTestIdentityFile(stack.paths);
/** Ids have a resolution of a second. */
let shift = 0;
const later = () => {
  shift += 2000;
  const ahead = shift;
  return { ...context, now: () => new Date(Date.now() + ahead) };
};
const stored = (of: S3Settings) => listStored(open(of), context.settings, 'blob');
const keysOf = async (of: S3Settings, id: string): Promise<string[]> => {
  const keys: string[] = [];
  for await (const { key } of open(of).list(backupPrefix(context.settings, 'blob', id)))
    keys.push(key);
  return keys;
};
async function readBack(id: string): Promise<number> {
  return await withBackup(context, { id, kind: 'accessory', identityFile }, async (backup) => {
    let bytes = 0;
    const [object] = backup.manifest.objects;
    if (object === undefined) throw new Error('no object');
    for await (const chunk of readObject(backup, object)) bytes += chunk.length;
    return bytes;
  });
}
/** Codes, without the one that every run of a config without keys has. */
const warnings = () =>
  stack.events
    .splice(0)
    .flatMap((event) => (event.kind === 'warning' ? [event.code] : []))
    .filter((code) => code !== 'backup/no-recipients');

t.test(
  'what a job has verified is copied to a second store, proved, and restored from there',
  async (t) => {
    await t.rejects(runBackup(context, 'copy'), { code: 'backup/nothing-to-copy' });
    const one = await runBackup(later(), 'blob');
    const two = await runBackup(later(), 'blob');
    const copied = await runBackup(context, 'copy');
    t.equal(copied.id, two.id);
    t.ok(copied.bytes > 2 * 12_000_000 && copied.verifiedAt);
    t.match(await stored(second), [
      { id: two.id, verified: true },
      { id: one.id, verified: true },
    ]);
    t.equal((await runBackup(context, 'copy')).bytes, 0, 'what is there is not copied again');

    await s3.send(
      new DeleteObjectCommand({
        Bucket: 'backups',
        Key: (await keysOf(first, two.id)).find((key) => key.endsWith('.age')),
      }),
    );
    warnings();
    const size = await readBack(two.id);
    t.ok(size >= 12_000_000, 'a part of the first is lost');
    t.strictSame(warnings(), ['restore/fell-back']);
    await open(first).delete(await keysOf(first, two.id));
    t.equal(await readBack(two.id), size, 'all of the first is lost');
    t.strictSame(warnings(), []);
    await stack.host.write(
      join(stack.paths.stack, 'agent', 'backup.json'),
      JSON.stringify(context.settings),
      {
        ...{ mode: 0o600, uid: 0, gid: 0 },
      },
    );
    for (const [name, value] of [
      ['A_ID', server.accessKeyId],
      ['A_KEY', server.secretAccessKey],
    ] as const) {
      await stack.host.write(join(stack.paths.secrets, name), value, {
        mode: 0o600,
        uid: 0,
        gid: 0,
      });
    }
    const main = new URL('../../installer/cli/main.ts', import.meta.url).pathname;
    const list = await outcome([
      'env',
      `HOLDFAST_ROOT=${stack.root}`,
      process.execPath,
      main,
      'backup',
      'list',
    ]);
    t.match(list.stdout, new RegExp(`${two.id} +blob .* second +verified`), list.stderr);
    t.match(list.stdout, new RegExp(`${one.id} +blob .* first, second +verified`));
  },
);

t.test(
  'a copy that is cut, or flips a byte on its way, counts for nothing and is made again',
  async (t) => {
    const { id } = await runBackup(later(), 'blob');
    proxy.set({
      kind: 'status',
      status: 403,
      when: ({ method, url }) => method === 'PUT' && url.includes('.age'),
    });
    await t.rejects(runBackup(context, 'copy'), { code: 'store/server-error' });
    t.notOk((await stored(second)).some((one) => one.id === id));
    proxy.set({
      kind: 'flip-download',
      after: 1_000_000,
      when: ({ method, url }) => method === 'GET' && url.includes('.age'),
    });
    await t.rejects(runBackup(context, 'copy'), { code: 'backup/damaged' });
    proxy.set(undefined);
    t.notOk((await stored(second)).find((one) => one.id === id)?.verified);
    t.equal((await runBackup(context, 'copy')).id, id);
    t.ok((await stored(second)).find((one) => one.id === id)?.verified);
  },
);

t.test(
  'one that is damaged at its origin is told, and the others are copied all the same',
  async (t) => {
    const { id: bad } = await runBackup(later(), 'blob');
    const { id: good } = await runBackup(later(), 'blob');
    const key = (await keysOf(first, bad)).find((one) => one.endsWith('.age')) ?? '';
    await open(first).putSmall(key, Buffer.alloc(12_000_000));
    await t.rejects(runBackup(context, 'copy'), { code: 'backup/damaged' });
    const ids = (await stored(second)).map(({ id }) => id);
    t.ok(ids.includes(good));
    t.notOk(ids.includes(bad));
    await open(first).delete(await keysOf(first, bad));
  },
);

t.test('two agents on one prefix, one in the midst of the other: each has its own', async (t) => {
  const twin = BackupStack.attach({ ...stack.identity(), root: t.testdir() });
  t.teardown(() => twin.engine.close());
  const theirs = { ...later(), host: twin.host, engine: twin.engine, paths: twin.paths };
  let madeByTwin = '';
  const store = open(first);
  const putSmall = store.putSmall.bind(store);
  store.putSmall = async (key, ...more) => {
    // All but its end is stored: the other one looks around, sweeps, and finishes first.
    if (key.endsWith('/manifest.json')) madeByTwin = (await runBackup(theirs, 'blob')).id;
    await putSmall(key, ...more);
  };
  const ours: BackupContext = { ...later(), openStore: async () => store };
  const { id } = await runBackup(ours, 'blob');
  const found = await stored(first);
  t.match(
    [id, madeByTwin].map((one) => found.find((backup) => backup.id === one)),
    [{ verified: true }, { verified: true }],
  );
  const wish = { kind: 'accessory', identityFile } as const;
  await t.rejects(
    withBackup(context, wish, async () => undefined),
    { code: 'restore/several-servers' },
  );
  const { id: writer } = await writerIdentity(twin.host, twin.paths);
  const key = restoreTestIdentityFile(twin.paths);
  const chosen = await withBackup(
    context,
    { ...wish, from: writer, identityFile: key },
    async (backup) => backup.manifest.id,
  );
  t.equal(chosen, madeByTwin);
  await open(first).delete(await keysOf(first, madeByTwin));
});

t.test('the copies have a retention of their own', async (t) => {
  const brief = { ...copy, keepRemote: NOTHING_YOUNG };
  const before = (await stored(first)).length;
  const briefly = { ...context, settings: { ...context.settings, jobs: [blob, brief] } };
  await runBackup(briefly, 'copy');
  t.equal((await stored(second)).length, 3, 'three verified ones always stay');
  t.equal((await stored(first)).length, before);
  await runBackup(briefly, 'copy');
  t.equal((await stored(second)).length, 3, 'nothing is copied to be removed');
});

const small = stack.job({
  ...{ name: 'small', store: 'second', keepRemote: NOTHING_YOUNG },
  source: { ...source, dump: ['head', '-c', '1000', '/tmp/blob'] },
});
const withSmall = (more: Partial<BackupContext> = {}): BackupContext => {
  const ahead = later();
  return { ...ahead, settings: { ...ahead.settings, jobs: [small] }, ...more };
};
const smallOnes = () => listStored(open(second), context.settings, 'small');
/** The listing without the keys that hold a text. */
const without = (text: string) => (body: string) =>
  body.replaceAll(/<Contents>.*?<\/Contents>/gs, (entry) => (entry.includes(text) ? '' : entry));
const isListing = ({ method, url }: { method: string; url: string }) =>
  method === 'GET' && url.includes('list-type=2');

t.test('nothing goes on a listing that comes back short', async (t) => {
  const made: string[] = [];
  for (let count = 0; count < 3; count += 1) made.push((await runBackup(withSmall(), 'small')).id);
  const [oldest = '', , newest = ''] = made;

  proxy.set({ kind: 'edit-answer', edit: without(`/${newest}/manifest.json`), when: isListing });
  await t.rejects(runBackup(withSmall(), 'small'), { code: 'store/short-listing' }, 'no debris');
  proxy.set({ kind: 'edit-answer', edit: without(`/${newest}/`), when: isListing });
  warnings();
  const { id } = await runBackup(withSmall(), 'small');
  t.strictSame(warnings(), ['backup/retention-failed']);
  proxy.set({
    ...{ kind: 'edit-answer', when: isListing },
    edit: (body) => body.replace('<IsTruncated>false', '<IsTruncated>true'),
  });
  await t.rejects(runBackup(withSmall(), 'small'), { code: 'store/short-listing' }, 'cut off');
  proxy.set(undefined);
  t.strictSame((await smallOnes()).map((one) => one.id).sort(), [...made, id].sort());
  await runBackup(withSmall(), 'small');
  const kept = await smallOnes();
  t.equal(kept.length, 3, 'the next whole listing is gone by');
  t.notOk(kept.some((one) => one.id === oldest));

  await open(second).delete([`${backupPrefix(context.settings, 'small', id)}manifest.json`]);
  warnings();
  await runBackup(withSmall(), 'small');
  t.strictSame(warnings(), ['backup/gone'], 'what somebody removed by hand holds nothing up');
});

const policies: unknown[] = [];

/** A user of the store, and what he may do in the bucket `second`. */
async function user(name: string, actions: readonly string[]): Promise<typeof credentials> {
  const keys = { id: `HF${name.toUpperCase()}`, secret: `${name}-secret-0123456789` };
  await stack.docker([
    ...['exec', '--env', 'CEPH_ARGS=--no-mon-config', server.container],
    ...['radosgw-admin', 'user', 'create', `--uid=${name}`, `--display-name=${name}`],
    ...[`--access-key=${keys.id}`, `--secret-key=${keys.secret}`],
  ]);
  policies.push({
    Effect: 'Allow',
    Principal: { AWS: [`arn:aws:iam:::user/${name}`] },
    Action: actions.map((action) => `s3:${action}`),
    Resource: ['arn:aws:s3:::second', 'arn:aws:s3:::second/*'],
  });
  const Policy = JSON.stringify({ Version: '2012-10-17', Statement: policies });
  await s3.send(new PutBucketPolicyCommand({ Bucket: 'second', Policy }));
  return { accessKeyId: new Secret(keys.id), secretAccessKey: new Secret(keys.secret) };
}
t.test('the key that writes needs no right to delete; another one prunes', async (t) => {
  const writing = ['PutObject', 'GetObject', 'ListBucket', 'ListBucketMultipartUploads'];
  const writer = await user('writer', writing);
  const pruner = await user('pruner', ['DeleteObject', 'AbortMultipartUpload', 'ListBucket']);
  const as = (deleting?: typeof credentials) => ({
    openStore: async () => new S3Store(second, writer, PATIENT, deleting),
  });
  const before = (await smallOnes()).length;
  warnings();
  await runBackup(withSmall(as()), 'small');
  t.strictSame(warnings(), ['backup/retention-failed'], 'made, and what is old stays');
  t.equal((await smallOnes()).length, before + 1);
  t.ok((await smallOnes()).every(({ verified }) => verified));

  // What a killed run left cannot be removed either, and that is no reason to make no backup.
  const debris = newBackupId(new Date());
  const folder = backupPrefix(context.settings, 'small', debris);
  const { id, host } = await writerIdentity(stack.host, stack.paths);
  const marker = { version: 1, id: debris, startedAt: '', writer: { id, host } } as const;
  await open(second).putSmall(`${folder}run.json`, markerBytes(marker));
  await runBackup(withSmall(as()), 'small');
  t.strictSame(warnings(), ['backup/leftovers', 'backup/retention-failed']);

  await runBackup(withSmall(as(pruner)), 'small');
  t.strictSame(warnings(), []);
  t.equal((await smallOnes()).length, 3);
  await t.rejects(new S3Store(second, writer, PATIENT).delete(['x']), { code: 'store/forbidden' });
});

t.test('what is locked stays until its time, whoever asks', async (t) => {
  const Bucket = 'locked';
  await s3.send(new CreateBucketCommand({ Bucket, ObjectLockEnabledForBucket: true }));
  const locked: S3Settings = { ...first, name: 'locked', bucket: Bucket };
  const large = stack.job({ name: 'large', source, store: 'locked', lockSeconds: 3600 });
  const hour = { ...small, name: 'hour', store: 'locked', lockSeconds: 3600 };
  const past = stack.job({ name: 'past', source: small.source, store: 'locked', keepRemote: {} });
  const at = (moment: () => Date): BackupContext => ({
    ...context,
    settings: { ...context.settings, stores: [locked], jobs: [large, hour, past] },
    openStore: async () => open(locked),
    now: moment,
  });
  const now = at(() => new Date());
  const count = async (job: string) =>
    (await listStored(open(locked), context.settings, job)).length;

  const { id } = await runBackup(now, 'large');
  const Prefix = backupPrefix(context.settings, 'large', id);
  const { Versions = [] } = await s3.send(new ListObjectVersionsCommand({ Bucket, Prefix }));
  const parts = Versions.filter(({ Key = '' }) => /(?:age|manifest\.json)$/.test(Key));
  t.equal(parts.length, 2);
  for (const { Key = '', VersionId } of parts) {
    const head = await s3.send(new HeadObjectCommand({ Bucket, Key }));
    t.equal(head.ObjectLockMode, 'COMPLIANCE', Key);
    await t.rejects(s3.send(new DeleteObjectCommand({ Bucket, Key, VersionId })), {
      name: 'AccessDenied',
    });
  }

  for (let run = 0; run < 4; run += 1) await runBackup(now, 'hour');
  warnings();
  await applyRetention(now, hour, open(locked));
  t.strictSame(warnings(), [], 'it knows that they cannot go yet');
  t.equal(await count('hour'), 4);
  await applyRetention(
    at(() => new Date(Date.now() + 7_200_000)),
    hour,
    open(locked),
  );
  t.strictSame(warnings(), ['backup/retention-failed'], 'by a wrong clock: the store refuses');
  t.equal((await listVersions(Bucket, 'hour')).length, 4);

  // Whose time is over: as if each had been locked for a second.
  for (let run = 0; run < 4; run += 1) await runBackup(now, 'past');
  await until('the oldest goes', 60, async () => {
    await applyRetention(now, { ...past, keepRemote: NOTHING_YOUNG, lockSeconds: 1 }, open(locked));
    return (await count('past')) === 3;
  });
  t.equal((await listVersions(Bucket, 'past')).length, 3, 'no version of it is left');
});

/** Manifests of a job in a bucket that keeps versions, also those that are hidden. */
async function listVersions(Bucket: string, job: string): Promise<string[]> {
  const Prefix = jobPrefix(context.settings, job);
  const { Versions = [] } = await s3.send(new ListObjectVersionsCommand({ Bucket, Prefix }));
  return Versions.flatMap(({ Key = '' }) => (Key.endsWith('/manifest.json') ? [Key] : []));
}
