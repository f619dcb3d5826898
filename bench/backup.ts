import { execFile } from 'node:child_process';
import { join } from 'node:path';
import { promisify } from 'node:util';
import type { BackupOutcome } from '../installer/backup/run-backup.ts';
import type { BackupSettings } from '../installer/model/backup-settings.ts';
import { platformImages } from '../test/integration/support/platform-images.ts';
import { startRadosgw } from '../test/integration/support/radosgw.ts';
import { BackupStack } from '../test/support/backup-stack.ts';
import { type PeerRestore, pgRestore, postgresCpu, scripted } from './backup-peers.ts';
import type { Figure } from './figure.ts';
import { ours } from './measure.ts';

const MB = 1e6;
const MIB = 1024 ** 2;
/** Gigabytes of database, one after the other; `HOLDFAST_BENCH_GB=0.1,5` for the sizes of the issue. */
const SIZES = (process.env['HOLDFAST_BENCH_GB'] ?? '0.1,1').split(',').map(Number);
const run = promisify(execFile);

/** Rows as products have them: numbers, times, JSON and prose; about 350 bytes each, with an index. */
const FILL = `CREATE TABLE words AS SELECT i, substr(md5(i::text), 1, 3 + i % 7) w FROM generate_series(1, 5000) i;
ALTER TABLE words ADD PRIMARY KEY (i);
CREATE TABLE events_0 AS SELECT i AS id, (random() * 100000)::int AS user_id, now() - random() * interval '365 days' AS at,
  (ARRAY['view', 'click', 'order', 'login'])[1 + (random() * 3)::int] AS kind,
  jsonb_build_object('ip', '10.' || (random() * 255)::int || '.7.7', 'agent', 'Mozilla/5.0 (X11; Linux x86_64) Gecko/20100101',
    'amount', (random() * 10000)::int, 'ref', md5(random()::text)) AS payload,
  (SELECT string_agg(w, ' ') FROM words WHERE words.i BETWEEN (i * 37) % 4900 AND (i * 37) % 4900 + 12) AS note
  FROM generate_series(1, ROWS) i;`;

/** Against a real bucket: what a backup and a restore cost, beside the scripts that people use instead. */
export async function benchBackup(): Promise<Figure[]> {
  await run('npm', ['run', 'build']);
  const teardowns: (() => Promise<void>)[] = [];
  try {
    const { postgres = '' } = await platformImages('postgres');
    const bucket = await startRadosgw({ teardown: (fn) => teardowns.push(fn) });
    const figures: Figure[] = [];
    for (const size of SIZES) {
      const stack = await BackupStack.start(postgres, ['--shm-size', '512m']);
      try {
        await prepare(stack, bucket);
        await warmBucket(stack, settingsWith(stack, bucket));
        const bytes = await fill(stack, size);
        figures.push(...(await measure(stack, size, bytes, bucket.container)));
      } finally {
        await stack.stop();
      }
    }
    return figures;
  } finally {
    for (const teardown of teardowns) await teardown();
  }
}

async function prepare(
  stack: BackupStack,
  bucket: { endpoint: string; bucket: string; accessKeyId: string; secretAccessKey: string },
): Promise<void> {
  const owner = { mode: 0o600, uid: 0, gid: 0 };
  await stack.host.write(join(stack.paths.secrets, 'KEY_ID'), bucket.accessKeyId, owner);
  await stack.host.write(join(stack.paths.secrets, 'KEY'), bucket.secretAccessKey, owner);
  const path = join(stack.paths.stack, 'agent', 'backup.json');
  await stack.host.write(path, JSON.stringify(settingsWith(stack, bucket)), owner);
}

function settingsWith(
  stack: BackupStack,
  bucket: { readonly endpoint: string; readonly bucket: string },
): BackupSettings {
  return stack.settings({
    stores: [
      {
        kind: 's3',
        name: 'bucket',
        endpoint: bucket.endpoint,
        region: 'us-east-1',
        bucket: bucket.bucket,
        accessKeyIdSecret: 'KEY_ID',
        secretAccessKeySecret: 'KEY',
      },
      { kind: 'directory', name: 'folder', path: join(stack.root, 'store') },
    ],
    jobs: [stack.job({ store: 'bucket' }), stack.job({ name: 'here', store: 'folder' })],
  });
}

/** The first requests to a new bucket of radosgw take seconds, which no bucket in use asks for. */
async function warmBucket(stack: BackupStack, settings: BackupSettings): Promise<void> {
  const store = await stack.context(settings).openStore('bucket');
  try {
    await store.putSmall('warm', Buffer.from('warm'));
    for await (const file of store.list('warm')) await store.head(file.key);
    await store.delete(['warm']);
  } finally {
    store.close();
  }
}

/** Eight tables alike, so that parallel work has something to share. @returns bytes of the database */
export async function fill(stack: BackupStack, gigabytes: number): Promise<number> {
  await stack.sql('postgres', 'CREATE DATABASE shop;');
  const rows = Math.round((gigabytes * 1e9) / 375 / 8);
  await stack.sql('shop', FILL.replace('ROWS', `${rows}`));
  for (let table = 1; table < 8; table += 1) {
    await stack.sql('shop', `CREATE TABLE events_${table} AS TABLE events_0;`);
  }
  for (let table = 0; table < 8; table += 1) {
    await stack.sql(
      'shop',
      `ALTER TABLE events_${table} ADD PRIMARY KEY (id); CREATE INDEX ON events_${table} (user_id, at);`,
    );
  }
  await stack.sql('shop', 'VACUUM ANALYZE;');
  return Number(await stack.sql('postgres', "SELECT pg_database_size('shop')"));
}

async function measure(
  stack: BackupStack,
  size: number,
  bytes: number,
  store: string,
): Promise<Figure[]> {
  const first = await scripted(stack);
  const before = await cpuOf(stack, store);
  const backup = await ours(stack, ['backup', 'run', 'daily', '--json']);
  const after = await cpuOf(stack, store);
  const folder = await ours(stack, ['backup', 'run', 'here', '--json']);
  // Whatever else the machine does meets the script as it met us: once before, once after.
  const last = await scripted(stack);
  const script = (first.seconds + last.seconds) / 2;
  const scriptBytes = first.bytes;
  const { storedSeconds = 0, bytes: storedBytes } = outcomeOf(backup.output);
  const { storedSeconds: folderSeconds = 0 } = outcomeOf(folder.output);
  const { theirs, restore } = await restores(stack);
  const rate = (seconds: number): number => bytes / MB / seconds;
  const label = `${size} GB (${Math.round(bytes / MB)} MB)`;
  return [
    {
      what: `${label}: pg_dump -Fc | gzip > file`,
      value: `${rate(script).toFixed(0)} MB/s`,
    },
    {
      what: `${label}: backup to a bucket, encrypted, read back`,
      value: `${rate(backup.seconds).toFixed(0)} MB/s`,
    },
    {
      what: `${label}: times as fast, to a directory, until it lay there, as the script's does`,
      value: (script / folderSeconds).toFixed(2),
      goal: '≥ 2.3',
    },
    {
      what: `${label}: times as fast, the whole command until proved`,
      value: (script / backup.seconds).toFixed(2),
    },
    {
      what: `${label}: times as fast, until it lay in the bucket`,
      value: (script / storedSeconds).toFixed(2),
    },
    {
      what: `${label}: times as fast, to a directory, until proved`,
      value: (script / folder.seconds).toFixed(2),
    },
    {
      what: `${label}: bytes stored, against those of the script`,
      value: (storedBytes / scriptBytes).toFixed(2),
    },
    {
      what: `${label}: CPU seconds: Postgres, bucket, ours`,
      value: [after[0] - before[0], after[1] - before[1], backup.cpu]
        .map((seconds) => seconds.toFixed(1))
        .join(', '),
    },
    {
      what: `${label}: peak memory of our processes, backup`,
      value: `${Math.round(backup.peak / MIB)} MiB`,
      goal: '≤ 150 MiB',
    },
    {
      what: `${label}: pg_restore -j 2 from a file`,
      value: `${theirs.seconds.toFixed(1)} s`,
    },
    {
      what: `${label}: restore from the bucket, checked`,
      value: `${restore.seconds.toFixed(1)} s`,
      goal: '≤ pg_restore -j 2',
    },
    {
      what: `${label}: CPU seconds of pg_restore -j 2; of the restore: Postgres, ours`,
      value: [theirs.cpu, restore.postgres, restore.cpu]
        .map((seconds) => seconds.toFixed(1))
        .join(', '),
    },
    {
      what: `${label}: peak memory of our processes, restore`,
      value: `${Math.round(restore.peak / MIB)} MiB`,
    },
  ];
}

/** Ours between two of theirs, whose mean is taken: what else the machine does changes from minute to minute. */
async function restores(stack: BackupStack) {
  const before = await pgRestore(stack);
  const start = await postgresCpu(stack);
  const restore = await ours(stack, ['restore', '--job', 'daily', '--into', 'back']);
  const postgres = (await postgresCpu(stack)) - start;
  // Ends the full statistics that go on behind a restore.
  await stack.sql('postgres', 'DROP DATABASE back WITH (FORCE);');
  const after = await pgRestore(stack);
  const theirs: PeerRestore = {
    seconds: (before.seconds + after.seconds) / 2,
    cpu: (before.cpu + after.cpu) / 2,
  };
  return { theirs, restore: { ...restore, postgres } };
}

export function outcomeOf(output: string): BackupOutcome {
  const { made } = JSON.parse(output) as { made: [BackupOutcome] };
  return made[0];
}

/** Processor seconds of the containers so far: Postgres with pg_dump in it, and the bucket. */
async function cpuOf(stack: BackupStack, store: string): Promise<[number, number]> {
  const bucket = await stack.engine.stats(store);
  return [await postgresCpu(stack), bucket.cpuSeconds];
}
