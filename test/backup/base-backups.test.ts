import { utimesSync } from 'node:fs';
import { join } from 'node:path';
import t, { type Test } from 'tap';
import type { BackupContext } from '../../installer/backup/context.ts';
import { type BackupManifest, manifestBytes, sha256Hex } from '../../installer/backup/manifest.ts';
import { basesFor, type RollForward } from '../../installer/backup/restore/choose-base.ts';
import { DirectoryStore } from '../../installer/backup/store/directory-store.ts';
import { pruneWal } from '../../installer/backup/wal/prune-wal.ts';
import { lsnText, segmentName } from '../../installer/backup/wal/segment.ts';
import { encodeWal } from '../../installer/backup/wal/wal-content.ts';
import { type WalObject, walObjectName } from '../../installer/backup/wal/wal-keys.ts';
import { DockerEngine } from '../../installer/engine/docker.ts';
import { LocalHost } from '../../installer/host/local.ts';
import type { BackupJob } from '../../installer/model/backup-settings.ts';
import type { ProgressEvent } from '../../installer/model/events.ts';
import { pathsUnder } from '../../installer/model/paths.ts';

const SEGMENT = 16 * 1024 ** 2;
const IDS = {
  first: '20261129T100000Z-aaaaaa',
  second: '20261129T110000Z-bbbbbb',
  third: '20261129T120000Z-cccccc',
};
const JOB: BackupJob = {
  ...{ name: 'base', method: 'physical', cron: '0 1 * * *', store: 'local', keepRemote: {} },
  source: { kind: 'postgres', databases: [] },
};

interface BaseWish {
  readonly timeline?: number;
  /** Where its WAL begins. */
  readonly index: number;
  readonly cluster?: string;
}

/** A store with base backups that were read back, of a few bytes, and their WAL. */
function lab(t: Test) {
  const root = t.testdir({ store: {}, server: {} });
  const store = new DirectoryStore(join(root, 'store'));
  const events: ProgressEvent[] = [];
  const engine = new DockerEngine();
  t.teardown(() => engine.close());
  const context: BackupContext = {
    ...{ host: new LocalHost(), engine, paths: pathsUnder(join(root, 'server')) },
    settings: {
      ...{ version: 1, project: 'shop', prefix: 'acme', timezone: 'UTC', stores: [], jobs: [JOB] },
      ...{ recipients: [], encryption: 'none', readBack: true, assertions: [], objectives: {} },
    },
    report: (event) => void events.push(event),
    now: () => new Date('2026-11-29T13:00:00Z'),
    openStore: async () => store,
  };
  const keyOf = (id: string, name: string): string => `acme/shop/base/${id}/${name}`;
  const base = async (id: string, { timeline = 1, index, cluster = '7' }: BaseWish) => {
    const hour = id.slice(9, 11);
    const manifest: BackupManifest = {
      ...{ format: 'holdfast-backup', version: 1, method: 'physical', project: 'shop', id },
      ...{ job: 'base', writer: { host: 'db', id: 'db' }, tools: {}, encryption: { kind: 'none' } },
      ...{ source: JOB.source as BackupManifest['source'] },
      ...{ startedAt: `2026-11-29T${hour}:00:00Z`, finishedAt: `2026-11-29T${hour}:00:30Z` },
      server: { version: '17.2', major: 17, systemIdentifier: cluster },
      base: {
        ...{ timeline, segmentBytes: SEGMENT, clusterBytes: 1 },
        startLsn: lsnText(index * SEGMENT + 40),
        stopLsn: lsnText(index * SEGMENT + 400),
      },
      objects: [
        {
          ...{ name: 'cluster.tar.zst', role: 'cluster', format: 'tar.zst', size: 0 },
          ...{ sha256: '0'.repeat(64), rangeBytes: 1, ranges: [], plainSize: 0 },
        },
      ],
    };
    const content = manifestBytes(manifest);
    const mark = { version: 1, id, at: manifest.finishedAt, manifestSha256: sha256Hex(content) };
    await store.putSmall(keyOf(id, 'manifest.json'), content);
    await store.putSmall(
      keyOf(id, 'verified.json'),
      Buffer.from(JSON.stringify({ ...mark, checks: [] })),
    );
  };
  const wal = async (
    object: WalObject,
    at: string,
    { cluster = '7', content = Buffer.from('x') as Uint8Array } = {},
  ): Promise<void> => {
    const key = `acme/shop/_wal/${cluster}/${walObjectName(object, false)}`;
    await store.putSmall(key, content);
    utimesSync(join(root, 'store', key), new Date(at), new Date(at));
  };
  /** @param text `timeline/segment` of each that it comes from */
  const history = async (timeline: number, text: readonly string[], at: string): Promise<void> => {
    const lines = text.map((one) => {
      const [number, index] = one.split('/').map(Number);
      return `${number}\t${lsnText((index ?? 0) * SEGMENT + 8)}\tby a test\n`;
    });
    const content = await encodeWal(Buffer.from(lines.join('')), undefined);
    const name = `${String(timeline).padStart(8, '0')}.history`;
    await wal({ kind: 'history', name }, at, { content });
  };
  /** Whole segments of a timeline, one a minute. */
  const segments = async (
    [timeline, from, to]: readonly [number, number, number],
    { hour = 10, cluster = '7' } = {},
  ): Promise<void> => {
    for (let index = from; index <= to; index += 1) {
      const name = segmentName({ timeline, index }, SEGMENT);
      const minute = String(index).padStart(2, '0');
      const object = { kind: 'segment', name, sha256: 'a'.repeat(64) } as const;
      await wal(object, `2026-11-29T${hour}:${minute}:00Z`, { cluster });
    }
  };
  /** `timeline/index` of the segments that are there, of each cluster. */
  const held = async (cluster = '7'): Promise<string[]> => {
    const found: string[] = [];
    for await (const { key } of store.list(`acme/shop/_wal/${cluster}/`)) {
      const [, timeline = '', index = ''] =
        /\/([0-9A-F]{8})[0-9A-F]{8}([0-9A-F]{8})-/.exec(key) ?? [];
      found.push(`${Number.parseInt(timeline, 16)}/${Number.parseInt(index, 16)}`);
    }
    return found.sort();
  };
  const damage = (id: string, name: string, content = ''): Promise<void> =>
    store.putSmall(keyOf(id, name), Buffer.from(content));
  const at = (time: string): Promise<RollForward[]> =>
    basesFor(context, JOB, store, {
      target: { kind: 'time', time: new Date(`2026-11-29T${time}Z`) },
      identityFile: '',
    });
  return { context, store, events, base, wal, history, segments, held, damage, at };
}

t.test('after a restore every moment since is in reach, however little was written', async (t) => {
  const { base, wal, segments, at } = lab(t);
  await base(IDS.first, { index: 1 });
  await segments([1, 1, 10]);
  await segments([2, 5, 7], { hour: 11 });
  const open = segmentName({ timeline: 2, index: 8 }, SEGMENT);
  await wal({ kind: 'partial', name: open }, '2026-11-29T11:08:00Z');
  await wal({ kind: 'history', name: '00000002.history' }, '2026-11-29T11:05:00Z');
  for (const time of ['11:07:00', '11:30:00', '12:59:00']) {
    const [found] = await at(time);
    t.equal(found?.chain.missing, undefined, time);
  }
  await segments([2, 10, 10], { hour: 12 });
  t.equal((await at('11:07:00')).length, 1);
  await t.rejects(at('12:59:00'), {
    code: 'restore/outside-window',
    why: 'what can be reached is 2026-11-29T10:00:30.000Z to 2026-11-29T11:08:00.000Z',
  });
});

t.test(
  'a moment before a restore is reached as it was, also past where that went back to',
  async (t) => {
    const { context, store, base, history, segments, at } = lab(t);
    const ways = async (time: string) =>
      (await at(time)).map(({ backup: { manifest }, timeline, isNewest }) => [
        ...[manifest.id, timeline.number, isNewest],
      ]);
    await base(IDS.first, { index: 1 });
    await base(IDS.second, { index: 20 });
    await segments([1, 1, 29]);
    // At 11:30 somebody went back to segment 5: what the second base holds was given up.
    await segments([2, 5, 8], { hour: 12 });
    await history(2, ['1/5'], '2026-11-29T11:30:00Z');
    t.strictSame(await ways('10:04:00'), [[IDS.first, 1, false]]);
    t.strictSame(await ways('11:20:00'), [
      [IDS.second, 1, false],
      [IDS.first, 1, false],
    ]);
    t.strictSame(await ways('11:45:00'), [[IDS.first, 2, true]]);
    await base(IDS.third, { index: 8, timeline: 2 });
    t.strictSame(await ways('12:30:00'), [
      [IDS.third, 2, true],
      [IDS.first, 2, true],
    ]);
    const latest = { target: { kind: 'latest' }, identityFile: '' } as const;
    const newest = await basesFor(context, JOB, store, latest);
    t.strictSame(
      newest.map(({ backup: { manifest } }) => manifest.id),
      [IDS.third, IDS.first],
      'never the one that leads elsewhere',
    );
    // Then to a moment of the first timeline again: the second one was in vain.
    await history(3, ['1/6'], '2026-11-29T12:05:00Z');
    await segments([3, 6, 6], { hour: 12 });
    t.strictSame(await ways('12:50:00'), [[IDS.first, 3, true]]);
    t.strictSame((await ways('12:03:00')).at(0), [IDS.third, 2, false]);
    await t.rejects(at('09:00:00'), {
      code: 'restore/outside-window',
      why: 'what can be reached is 2026-11-29T10:00:30.000Z to 2026-11-29T13:00:00.000Z',
    });
  },
);

t.test('a mark that cannot be read is told, and the base is used all the same', async (t) => {
  const { base, segments, damage, events, at } = lab(t);
  await base(IDS.first, { index: 1 });
  await segments([1, 1, 3]);
  t.equal((await at('10:30:00')).length, 1);
  t.strictSame(events, []);
  for (const content of ['', 'no mark at all', '{}']) {
    await damage(IDS.first, 'verified.json', content);
    t.equal((await at('10:30:00')).length, 1, content);
    t.match(events.splice(0), [
      { code: 'backup/mark-damaged', text: `\`holdfast backup verify ${IDS.first}\`` },
    ]);
  }
  const other = { version: 1, id: IDS.first, at: '2026-11-29T10:00:30Z', checks: [] };
  const strange = JSON.stringify({ ...other, manifestSha256: 'f'.repeat(64) });
  await damage(IDS.first, 'verified.json', strange);
  await t.rejects(at('10:30:00'), { code: 'backup/missing' }, 'it was another manifest');
  t.match(events, [{ code: 'backup/bad-manifest' }]);
});

t.test('WAL before the oldest base goes, also where marks cannot be read', async (t) => {
  const { context, store, base, segments, damage, held, events } = lab(t);
  await base(IDS.first, { index: 3 });
  await base(IDS.second, { index: 6 });
  await segments([1, 1, 7]);
  await damage(IDS.first, 'verified.json');
  t.equal(await pruneWal(context, JOB, store), 2);
  t.strictSame(await held(), ['1/3', '1/4', '1/5', '1/6', '1/7']);
  t.strictSame(events, []);
});

t.test('a base with a damaged manifest keeps all WAL that it may need', async (t) => {
  const kept = (text: string) => [{ code: 'backup/wal-kept', text }];

  await t.test('the oldest one', async (t) => {
    const { context, store, base, segments, damage, held, events } = lab(t);
    await base(IDS.first, { index: 3 });
    await base(IDS.second, { index: 6 });
    await segments([1, 1, 7]);
    await damage(IDS.first, 'manifest.json', '{');
    t.equal(await pruneWal(context, JOB, store), 0);
    t.equal((await held()).length, 7);
    t.match(events, kept(IDS.first));
  });

  await t.test('a later one, which may begin before the oldest after a restore', async (t) => {
    const { context, store, base, segments, damage, held, events } = lab(t);
    await base(IDS.first, { index: 8 });
    await base(IDS.second, { index: 6, timeline: 2 });
    await base(IDS.third, { index: 9, timeline: 2 });
    await segments([1, 1, 9]);
    await segments([2, 5, 9], { hour: 11 });
    await damage(IDS.second, 'manifest.json', '{');
    t.equal(await pruneWal(context, JOB, store), 7);
    t.strictSame(await held(), ['1/8', '1/9', '2/5', '2/6', '2/7', '2/8', '2/9']);
    t.match(events, kept(IDS.second));
  });

  await t.test('one that may be of another cluster', async (t) => {
    const { context, store, base, segments, damage, held } = lab(t);
    await base(IDS.first, { index: 3 });
    await base(IDS.second, { index: 2, cluster: '8' });
    await base(IDS.third, { index: 5, cluster: '8' });
    await segments([1, 1, 5]);
    await segments([1, 1, 5], { cluster: '8' });
    await damage(IDS.second, 'manifest.json', '{');
    t.equal(await pruneWal(context, JOB, store), 2);
    t.strictSame(await held(), ['1/3', '1/4', '1/5']);
    t.equal((await held('8')).length, 5, 'it was made before all that are known of this one');
  });
});
