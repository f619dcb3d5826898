import { readdir } from 'node:fs/promises';
import t from 'tap';
import type { BackupContext } from '../../installer/backup/context.ts';
import { listStored } from '../../installer/backup/inventory.ts';
import { backupPrefix, projectPrefix } from '../../installer/backup/keys.ts';
import { restoreTestIdentityFile } from '../../installer/backup/recovery-keys.ts';
import { withBackup } from '../../installer/backup/restore/choose-backup.ts';
import { restorePostgres } from '../../installer/backup/restore/restore-postgres.ts';
import { runBackup } from '../../installer/backup/run-backup.ts';
import type { Patience, S3Settings } from '../../installer/backup/store/s3-client.ts';
import { S3Store } from '../../installer/backup/store/s3-store.ts';
import { readSmall, type Store } from '../../installer/backup/store/store.ts';
import { readManifest, verifyBackup } from '../../installer/backup/verify.ts';
import { Secret } from '../../installer/model/secret.ts';
import { BackupStack } from '../support/backup-stack.ts';
import { type Fault, FaultProxy } from '../support/fault-proxy.ts';
import { platformImages } from './support/platform-images.ts';
import { startRadosgw } from './support/radosgw.ts';

const MIB = 1024 ** 2;
/** A slow store is not one that hangs. */
const PATIENT: Patience = { connectSeconds: 30, idleSeconds: 120, retryWaits: [50, 100] };
/** Where the store does hang. */
const QUICK: Patience = { ...PATIENT, idleSeconds: 5 };

const { postgres = '' } = await platformImages('postgres');
const stack = await BackupStack.start(postgres);
t.teardown(() => stack.stop());
const server = await startRadosgw(t);
const proxy = await FaultProxy.start(server.endpoint);
t.teardown(() => proxy.stop());

// Random text hardly compresses, so the dump takes several parts.
await stack.sql('postgres', 'CREATE ROLE shop LOGIN; CREATE DATABASE shop OWNER shop;');
await stack.sql(
  'shop',
  `CREATE TABLE blobs AS SELECT i AS id, (SELECT string_agg(md5(random()::text || i || j), '') FROM generate_series(1, 8) j) AS data
   FROM generate_series(1, 150000) i; ALTER TABLE blobs ADD PRIMARY KEY (id);`,
);

const settings: S3Settings = {
  kind: 's3',
  name: 'bucket',
  endpoint: proxy.endpoint,
  region: 'us-east-1',
  bucket: server.bucket,
  accessKeyIdSecret: 'STORE_ACCESS_KEY_ID',
  secretAccessKeySecret: 'STORE_SECRET_ACCESS_KEY',
};

function open(
  over: Partial<S3Settings> = {},
  secret = server.secretAccessKey,
  patience = PATIENT,
): Store {
  return new S3Store(
    { ...settings, ...over },
    { accessKeyId: new Secret(server.accessKeyId), secretAccessKey: new Secret(secret) },
    patience,
  );
}

function context(openStore: () => Store = () => open()): BackupContext {
  return stack.context(
    { stores: [settings], jobs: [stack.job({ store: 'bucket' })] },
    { openStore: async () => openStore() },
  );
}

const storeFor =
  ({ kind }: Fault) =>
  (): Store =>
    open({}, server.secretAccessKey, kind === 'hang' ? QUICK : PATIENT);

async function incomplete(): Promise<string[]> {
  const stored = await listStored(open(), context().settings, 'daily');
  return stored.filter(({ complete }) => !complete).map(({ id }) => id);
}

async function openUploads(): Promise<number> {
  let count = 0;
  await open().abortUploads(projectPrefix(context().settings), () => {
    count += 1;
    return false;
  });
  return count;
}

t.afterEach(() => proxy.set(undefined));

t.test('a backup goes up in equal parts, is read back, and comes back as it was', async (t) => {
  const made = await runBackup(context(), 'daily');
  const folder = backupPrefix(context().settings, 'daily', made.id);
  const { manifest } = await readManifest(open(), folder, made.id);
  const dump = manifest.objects.find(({ role }) => role === 'database');
  t.ok((dump?.size ?? 0) > 16 * MIB, 'several parts of 5 MiB');
  t.equal(dump?.ranges.length, Math.ceil((dump?.size ?? 0) / (8 * MIB)));
  t.ok(made.verifiedAt);
  t.equal(await openUploads(), 0);

  const before = await stack.sql(
    'shop',
    "SELECT count(*), md5(string_agg(data, '' ORDER BY id)) FROM blobs",
  );
  await stack.sql('shop', 'DELETE FROM blobs WHERE id % 2 = 0');
  await withBackup(
    context(),
    { kind: 'postgres', identityFile: restoreTestIdentityFile(stack.paths) },
    (backup) => restorePostgres(context(), backup, { consent: async () => undefined }),
  );
  t.equal(
    await stack.sql('shop', "SELECT count(*), md5(string_agg(data, '' ORDER BY id)) FROM blobs"),
    before,
  );
});

const refusals: readonly { name: string; store: () => Store; code: string }[] = [
  { name: 'a wrong secret', store: () => open({}, 'wrong'), code: 'store/wrong-secret' },
  {
    name: 'a bucket that is not there',
    store: () => open({ bucket: 'nowhere' }),
    code: 'store/no-bucket',
  },
  {
    name: 'nobody at the endpoint',
    store: () => open({ endpoint: 'http://127.0.0.1:9' }),
    code: 'store/unreachable',
  },
];
for (const { name, store, code } of refusals) {
  t.test(`${name} is told before the database is burdened`, async (t) => {
    const error = await runBackup(context(store), 'daily').then(
      () => undefined,
      (reason: unknown) => reason as Error,
    );
    t.match(error, { code });
    t.notMatch(`${error?.message} ${error?.stack}`, server.secretAccessKey);
  });
}

for (const [way, minutes] of Object.entries({ ahead: 20, behind: -20 })) {
  t.test(`a clock that is 20 minutes ${way} is told, and by how much`, async (t) => {
    const own = Date.now;
    // What signs a request asks this one; it puts itself right by the first answer, so each store is a new one.
    t.teardown(() => {
      Date.now = own;
    });
    const wrong = () => {
      const store = open();
      Date.now = () => own() + minutes * 60_000;
      return store;
    };
    const said = { code: 'store/clock-skew', hint: /timedatectl/ };
    const why = new RegExp(`this one is (19|20) min ${way}( of)? the store's`);
    await t.rejects(runBackup(context(wrong), 'daily'), { ...said, why });
    await t.rejects(wrong().head('anything'), { ...said, why }, 'an answer without a body');
  });
}

const isPart = ({ method, url }: { method: string; url: string }): boolean =>
  method === 'PUT' && url.includes('partNumber=');
const isDownload = ({ method, url }: { method: string; url: string }): boolean =>
  method === 'GET' && url.includes('db-shop.dump');

const lasting: readonly { name: string; fault: Fault; code: string }[] = [
  {
    name: 'answers 500',
    fault: { kind: 'status', status: 500, when: isPart },
    code: 'store/server-error',
  },
  {
    name: 'answers 429',
    fault: { kind: 'status', status: 429, when: isPart },
    code: 'store/rate-limited',
  },
  { name: 'hangs', fault: { kind: 'hang', when: isPart }, code: 'store/timeout' },
  {
    name: 'cuts the connection in mid-upload',
    fault: { kind: 'cut-upload', after: 3 * MIB, when: isPart },
    code: 'store/connection-cut',
  },
  {
    name: 'refuses connections',
    fault: { kind: 'refuse', when: isPart },
    code: 'store/connection-cut',
  },
];
for (const { name, fault, code } of lasting) {
  t.test(`a store that ${name} fails the run; nothing of it stays`, async (t) => {
    proxy.set(fault);
    await t.rejects(runBackup(context(storeFor(fault)), 'daily'), { code });
    t.ok(proxy.struck >= 3, 'it was tried again, within bounds');
    proxy.set(undefined);
    t.strictSame(await incomplete(), []);
    t.equal(await openUploads(), 0);
  });
}

t.test('a store that is gone in the middle: the next run sweeps what was left', async (t) => {
  let gone = false;
  proxy.set({
    kind: 'refuse',
    when: (request) => {
      gone ||= isPart(request) && request.url.includes('partNumber=2');
      return gone;
    },
  });
  await t.rejects(runBackup(context(), 'daily'), { code: 'store/connection-cut' });
  proxy.set(undefined);
  t.equal((await incomplete()).length, 1);
  t.equal(await openUploads(), 1);
  await runBackup(context(), 'daily');
  t.strictSame(await incomplete(), []);
  t.equal(await openUploads(), 0);
});

const passing: readonly { name: string; fault: Fault }[] = [
  { name: 'two answers of 500', fault: { kind: 'status', status: 500, when: isPart, times: 2 } },
  { name: 'a cut upload', fault: { kind: 'cut-upload', after: MIB, when: isPart, times: 1 } },
  {
    name: 'a cut download',
    fault: { kind: 'cut-download', after: 5 * MIB, when: isDownload, times: 2 },
  },
  { name: 'a hanging answer', fault: { kind: 'hang', when: isPart, times: 1 } },
];
for (const { name, fault } of passing) {
  t.test(`${name} does not fail the run`, async (t) => {
    proxy.set(fault);
    const { verifiedAt } = await runBackup(context(storeFor(fault)), 'daily');
    t.equal(proxy.struck, fault.times);
    t.ok(verifiedAt);
  });
}

t.test('a byte that flips on the way back is found', async (t) => {
  proxy.set({ kind: 'flip-download', after: 9 * MIB, when: isDownload });
  await t.rejects(runBackup(context(), 'daily'), {
    code: 'backup/damaged',
    message: /bytes 8388608 to 16777215 \(part 2 of \d+\)/,
  });
});

async function damage(id: string, change: (content: Buffer) => Buffer): Promise<void> {
  const key = `${backupPrefix(context().settings, 'daily', id)}db-shop.dump.age`;
  const store = open();
  const content = await readSmall(store, key);
  async function* body(): AsyncGenerator<Uint8Array> {
    yield change(content ?? Buffer.alloc(0));
  }
  await store.put(key, body(), MIB);
}

const damages: readonly { name: string; change: (content: Buffer) => Buffer; message: RegExp }[] = [
  {
    name: 'flipped in its last byte',
    change: (content) => {
      content[content.length - 1] = (content[content.length - 1] ?? 0) ^ 0x80;
      return content;
    },
    message: /part (\d+) of \1\)/,
  },
  {
    name: 'truncated',
    change: (content) => content.subarray(0, 10 * MIB),
    message: /it ends at byte 10485760 of \d+: bytes 10485760 to \d+ are missing/,
  },
];
for (const { name, change, message } of damages) {
  t.test(`a stored dump that was ${name} is refused at verify and at restore`, async (t) => {
    const good = await runBackup(context(), 'daily');
    // Ids have a resolution of a second.
    const { id } = await runBackup(
      { ...context(), now: () => new Date(Date.now() + 2000) },
      'daily',
    );
    await damage(id, change);
    const identityFile = restoreTestIdentityFile(stack.paths);
    await t.rejects(
      verifyBackup({
        context: context(),
        store: open(),
        job: 'daily',
        id,
        identityFile,
        server: undefined,
      }),
      { code: 'backup/damaged', message },
    );
    const wish = { into: 'never', consent: async (): Promise<void> => undefined };
    await t.rejects(
      withBackup(context(), { id, kind: 'postgres', identityFile }, (backup) =>
        restorePostgres(context(), backup, wish),
      ),
      { code: 'backup/damaged', message },
    );
    t.equal(
      await stack.sql(
        'postgres',
        "SELECT count(*) FROM pg_database WHERE datname LIKE '%never%' OR datname LIKE '%restored%'",
      ),
      '0',
    );
    const [restored] = await withBackup(
      context(),
      { kind: 'postgres', identityFile },
      async (backup) => [
        await restorePostgres(context(), backup, { ...wish, into: `fallback_${name.length}` }),
        t.equal(backup.manifest.id, good.id, 'without an id, the one before it is used'),
      ],
    );
    t.match(restored, [{ tables: 1, rows: 150000 }]);
    const keys: string[] = [];
    for await (const { key } of open().list(backupPrefix(context().settings, 'daily', id))) {
      keys.push(key);
    }
    await open().delete(keys);
  });
}

t.test('a store that is slow is not taken for one that hangs', async (t) => {
  // Longer for a part than a silence may last.
  const bytesPerSecond = (5 * MIB) / (QUICK.idleSeconds + 2);
  proxy.set({ kind: 'slow', after: bytesPerSecond, when: isPart, times: 1 });
  const { verifiedAt } = await runBackup(
    context(() => open({}, server.secretAccessKey, QUICK)),
    'daily',
  );
  t.equal(proxy.struck, 1, 'it was not sent again');
  t.ok(verifiedAt);
});

t.test('the storage class of the config is asked of the store', async (t) => {
  const asked: unknown[] = [];
  proxy.set({
    ...{ kind: 'status', status: 500 },
    when: ({ headers }) => asked.push(headers['x-amz-storage-class']) > 0,
  });
  const cold = open({ storageClass: 'STANDARD_IA' });
  async function* body(): AsyncGenerator<Uint8Array> {
    yield Buffer.alloc(10);
  }
  await t.rejects(cold.put('cold', body(), 10), { code: 'store/server-error' });
  const small = cold.putSmall('manifest.json', Buffer.alloc(10));
  await t.rejects(small, { code: 'store/server-error' });
  t.strictSame([...new Set(asked)], ['STANDARD_IA', undefined], 'what is small costs more there');
});

t.test('all that was asked for in here R2 would have understood', async (t) => {
  t.strictSame(proxy.refused, []);
  const tomorrow = new Date(Date.now() + 86_400_000);
  await t.rejects(open().putSmall('locked', Buffer.of(1), tomorrow), { message: /object-lock/ });
  t.match(proxy.refused, [/object-lock/], 'and what it would not is refused in here');
});

t.test('no plain text of the database reaches this machine’s disk', async (t) => {
  const files = await readdir(stack.root, { recursive: true });
  t.notOk(files.some((name) => name.endsWith('.dump')));
  t.equal(
    await stack.docker([
      'exec',
      stack.container,
      'sh',
      '-c',
      'ls $PGDATA | grep -c holdfast || true',
    ]),
    '0',
  );
});
