import { createHash, randomBytes } from 'node:crypto';
import t from 'tap';
import { backupIdTime, idSuffix, newBackupId } from '../../installer/backup/backup-id.ts';
import { jobPrefix, objectNamePart, parseKey } from '../../installer/backup/keys.ts';
import {
  type BackupManifest,
  manifestBytes,
  parseManifest,
} from '../../installer/backup/manifest.ts';
import { RangeHasher, rangeBytesFor } from '../../installer/backup/range-hasher.ts';
import { partBytesFor, sendInParts } from '../../installer/backup/store/part-buffers.ts';
import { throughChild } from '../../installer/backup/through-child.ts';
import { compress, decompress } from '../../installer/backup/zstd.ts';
import { formatBytes, formatSpan } from '../../installer/model/format-bytes.ts';

const MIB = 1024 ** 2;
const hex = (content: Uint8Array): string => createHash('sha256').update(content).digest('hex');

async function* chunks(...sizes: number[]): AsyncGenerator<Buffer> {
  for (const size of sizes) yield randomBytes(size);
}

async function collect(body: AsyncIterable<Uint8Array>): Promise<Buffer> {
  const all: Uint8Array[] = [];
  for await (const chunk of body) all.push(Buffer.from(chunk));
  return Buffer.concat(all);
}

t.test('an id tells its time and sorts by it', async (t) => {
  const early = newBackupId(new Date('2026-02-28T23:59:59.900Z'));
  const late = newBackupId(new Date('2026-03-01T00:00:00Z'));
  t.match(early, /^20260228T235959Z-[0-9a-f]{6}$/);
  t.ok(early < late);
  const ids = [0, 1, 9, 10, 99, 255, 256, 999].map((millisecond) =>
    newBackupId(new Date(Date.UTC(2026, 2, 1, 2, 0, 0, millisecond))),
  );
  t.strictSame(ids.toSorted(), ids, 'within one second as well');
  t.strictSame([...new Set(ids.map((id) => id.length))], [early.length]);
  t.equal(backupIdTime(late)?.toISOString(), '2026-03-01T00:00:00.000Z');
  t.match(idSuffix(late), /^20260301t000000z_[0-9a-f]{6}$/);
  for (const bad of ['', 'manifest.json', '20261340T000000Z-abcdef', '20260301T000000Z-ABCDEF']) {
    t.equal(backupIdTime(bad), undefined, bad);
  }
});

t.test('keys lead back to id and name, and nothing else does', async (t) => {
  const prefix = jobPrefix({ prefix: 'a/b', project: 'shop' }, 'daily');
  t.equal(prefix, 'a/b/shop/daily/');
  t.equal(jobPrefix({ prefix: '', project: 'shop' }, 'daily'), 'shop/daily/');
  const id = '20260301T000000Z-abcdef';
  t.strictSame(parseKey(prefix, `${prefix}${id}/x.age`), { id, name: 'x.age' });
  for (const key of [
    `${prefix}${id}`,
    `${prefix}${id}/`,
    `${prefix}${id}/a/b`,
    `${prefix}notes/x`,
    `other/${id}/x`,
  ]) {
    t.equal(parseKey(prefix, key), undefined, key);
  }
  t.equal(objectNamePart('shop_2'), 'shop_2');
  t.equal(objectNamePart('Ladén/..'), `x-${Buffer.from('Ladén/..').toString('hex')}`);
});

t.test('ranges are hashed as equal pieces, however the chunks fall', async (t) => {
  const content = randomBytes(10_000);
  for (const step of [1, 7, 999, 1000, 1001, 10_000]) {
    const hasher = new RangeHasher(1000);
    for (let at = 0; at < content.length; at += step)
      hasher.update(content.subarray(at, at + step));
    const { size, sha256, ranges } = hasher.finish();
    t.equal(size, 10_000);
    t.equal(sha256, hex(content));
    t.strictSame(
      ranges,
      Array.from({ length: 10 }, (_, index) =>
        hex(content.subarray(index * 1000, index * 1000 + 1000)),
      ),
    );
  }
  t.equal(new RangeHasher(1000).finish().ranges.length, 0, 'nothing has no range');
  t.equal(rangeBytesFor(0), 8 * MIB);
  t.ok(2 ** 40 / rangeBytesFor(2 ** 40) <= 4096, 'a terabyte keeps a small manifest');
});

t.test('parts are equal but for the last, in a fixed number of buffers', async (t) => {
  for (const total of [0, 1, 99, 100, 101, 1000, 1050]) {
    const content = randomBytes(total);
    const parts: { number: number; content: Buffer; isLast: boolean }[] = [];
    const buffers = new Set<ArrayBufferLike>();
    async function* source(): AsyncGenerator<Buffer> {
      for (let at = 0; at < total; at += 33) yield content.subarray(at, Math.min(total, at + 33));
    }
    await sendInParts(source(), 100, 3, async (part) => {
      buffers.add(part.content.buffer);
      await new Promise((resolve) => setImmediate(resolve));
      parts.push({ ...part, content: Buffer.from(part.content) });
    });
    parts.sort((a, b) => a.number - b.number);
    t.strictSame(Buffer.concat(parts.map((part) => part.content)), content, `${total} bytes`);
    t.ok(parts.slice(0, -1).every((part) => part.content.length === 100));
    t.strictSame(
      parts.map(({ isLast }) => isLast),
      parts.map((_, index) => index === parts.length - 1),
    );
    t.ok(buffers.size <= 3);
  }
});

t.test('a part that fails, or a source that does, fails the whole', async (t) => {
  await t.rejects(
    sendInParts(chunks(100, 100, 100, 100), 100, 2, async ({ number }) => {
      if (number === 2) throw new Error('part 2');
    }),
    /part 2/,
  );
  async function* broken(): AsyncGenerator<Buffer> {
    yield* chunks(100, 50);
    throw new Error('source');
  }
  let last = false;
  await t.rejects(
    sendInParts(broken(), 100, 2, async ({ isLast }) => {
      last ||= isLast;
    }),
    /source/,
  );
  t.notOk(last, 'no last part was ever sent');
});

t.test('ten thousand parts are enough for what is expected', async (t) => {
  for (const expected of [0, 5e9, 1e11, 1e12, 5e12]) {
    const part = partBytesFor(expected);
    t.ok(part >= 5 * MIB && expected / part <= 10_000, `${expected}`);
  }
  t.equal(partBytesFor(5e9), 5 * MIB);
});

t.test('what goes through a program comes out whole, or as an error', async (t) => {
  const content = randomBytes(3_000_000);
  async function* source(): AsyncGenerator<Buffer> {
    yield content;
  }
  t.strictSame(await collect(throughChild(['cat'], source())), content);
  await t.rejects(collect(throughChild(['false'], source())), { code: 'host/command-failed' });
  await t.rejects(collect(throughChild(['no-such-program'], source())), {
    code: 'host/program-missing',
  });
  async function* broken(): AsyncGenerator<Buffer> {
    yield content;
    throw new Error('the source broke');
  }
  await t.rejects(collect(throughChild(['cat'], broken())), /the source broke/);
  await t.rejects(collect(throughChild(['sh', '-c', 'cat; exit 3'], source())), {
    code: 'host/command-failed',
  });
});

t.test('zstd there and back; a broken end is an error', async (t) => {
  const content = Buffer.concat([randomBytes(500_000), Buffer.alloc(2_000_000)]);
  async function* once(bytes: Buffer): AsyncGenerator<Buffer> {
    yield bytes;
  }
  const packed = await collect(compress(once(content)));
  t.ok(packed.length < 600_000);
  t.strictSame(await collect(decompress(once(packed))), content);
  await t.rejects(collect(decompress(once(packed.subarray(0, packed.length - 10)))));
  async function* broken(): AsyncGenerator<Buffer> {
    yield content;
    throw new Error('the source broke');
  }
  await t.rejects(collect(compress(broken())), /the source broke/);
});

const manifest: BackupManifest = {
  format: 'holdfast-backup',
  version: 1,
  id: '20260301T000000Z-abcdef',
  project: 'shop',
  job: 'daily',
  method: 'logical',
  source: { kind: 'postgres', databases: ['shop'] },
  startedAt: '2026-03-01T00:00:00.000Z',
  finishedAt: '2026-03-01T00:01:00.000Z',
  writer: { host: 'vps1', id: 'x' },
  encryption: { kind: 'age', recipients: ['age1x'] },
  tools: {},
  objects: [
    {
      name: 'globals.sql.age',
      role: 'globals',
      format: 'sql',
      size: 9,
      sha256: hex(Buffer.from('x')),
      rangeBytes: 5,
      ranges: [hex(Buffer.from('y')), hex(Buffer.from('z'))],
      plainSize: 4,
    },
  ],
};

t.test('a manifest is read as it was written, and a damaged one is refused', async (t) => {
  t.strictSame(parseManifest(manifestBytes(manifest), 'it'), manifest);
  const whole = manifestBytes(manifest);
  const damages: [string, Buffer][] = [
    ['empty', Buffer.alloc(0)],
    ['cut', whole.subarray(0, whole.length / 2)],
    ['another version', Buffer.from(whole.toString().replace('"version": 1', '"version": 2'))],
    ['no objects', manifestBytes({ ...manifest, objects: [] })],
    [
      'a range too few',
      manifestBytes({
        ...manifest,
        objects: manifest.objects.map((one) => ({ ...one, ranges: one.ranges.slice(1) })),
      }),
    ],
    [
      'a name that climbs out',
      manifestBytes({
        ...manifest,
        objects: manifest.objects.map((one) => ({ ...one, name: '../x' })),
      }),
    ],
  ];
  for (const [name, content] of damages) {
    t.throws(
      () => parseManifest(content, 'the manifest of X'),
      { code: 'backup/bad-manifest' },
      name,
    );
  }
});

t.test('figures for people', async (t) => {
  t.strictSame([0, 1023, 1536, 200 * MIB, 3 * 2 ** 40].map(formatBytes), [
    '0 B',
    '1023 B',
    '1.5 KiB',
    '200 MiB',
    '3.0 TiB',
  ]);
  t.strictSame([5, 119, 150, 7_260, 200_000].map(formatSpan), [
    '5 s',
    '119 s',
    '2 min',
    '2 h 1 min',
    '2 days 7 h',
  ]);
});
