import { utimesSync } from 'node:fs';
import { join } from 'node:path';
import type { Test } from 'tap';
import type { BackupContext } from '../../installer/backup/context.ts';
import { listStored } from '../../installer/backup/inventory.ts';
import { type BackupManifest, manifestBytes, sha256Hex } from '../../installer/backup/manifest.ts';
import { basesFor, type RollForward } from '../../installer/backup/restore/choose-base.ts';
import { DirectoryStore } from '../../installer/backup/store/directory-store.ts';
import { lsnText, segmentName } from '../../installer/backup/wal/segment.ts';
import { encodeWal } from '../../installer/backup/wal/wal-content.ts';
import { type WalObject, walObjectName } from '../../installer/backup/wal/wal-keys.ts';
import { DockerEngine } from '../../installer/engine/docker.ts';
import { LocalHost } from '../../installer/host/local.ts';
import type { BackupJob } from '../../installer/model/backup-settings.ts';
import type { ProgressEvent } from '../../installer/model/events.ts';
import { pathsUnder } from '../../installer/model/paths.ts';

export const SEGMENT = 16 * 1024 ** 2;
export const IDS = {
  first: '20261129T100000Z-aaaaaa',
  second: '20261129T110000Z-bbbbbb',
  third: '20261129T120000Z-cccccc',
};
export const JOB: BackupJob = {
  ...{ name: 'base', method: 'physical', cron: '0 1 * * *', store: 'local', keepRemote: {} },
  source: { kind: 'postgres', databases: [] },
};

interface MadeBase {
  readonly timeline?: number;
  /** Where its WAL begins. */
  readonly index: number;
  readonly cluster?: string;
}

/** A store with base backups that were read back, of a few bytes, and their WAL. */
export function baseLab(t: Test) {
  const folder = t.testdir({ store: {}, server: {} });
  const root = join(folder, 'store');
  const store = new DirectoryStore(root);
  const events: ProgressEvent[] = [];
  const engine = new DockerEngine();
  t.teardown(() => engine.close());
  const context: BackupContext = {
    ...{ host: new LocalHost(), engine, paths: pathsUnder(join(folder, 'server')) },
    settings: {
      ...{ version: 1, project: 'shop', prefix: 'acme', timezone: 'UTC', stores: [], jobs: [JOB] },
      ...{ recipients: [], encryption: 'none', readBack: true, assertions: [], objectives: {} },
    },
    report: (event) => void events.push(event),
    now: () => new Date('2026-11-29T13:00:00Z'),
    openStore: async () => store,
  };
  const keyOf = (id: string, name: string): string => `acme/shop/base/${id}/${name}`;
  const base = async (id: string, { timeline = 1, index, cluster = '7' }: MadeBase) => {
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
    const made = new Date(manifest.finishedAt);
    utimesSync(join(root, keyOf(id, 'manifest.json')), made, made);
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
    utimesSync(join(root, key), new Date(at), new Date(at));
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
    { hour = 10, cluster = '7', sha256 = 'a'.repeat(64) } = {},
  ): Promise<void> => {
    for (let index = from; index <= to; index += 1) {
      const name = segmentName({ timeline, index }, SEGMENT);
      const minute = String(index).padStart(2, '0');
      const object = { kind: 'segment', name, sha256 } as const;
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
  const bases = () => listStored(store, context.settings, 'base');
  return { root, context, store, events, base, bases, wal, history, segments, held, damage, at };
}
