import { utimesSync } from 'node:fs';
import { join } from 'node:path';
import type { Readable } from 'node:stream';
import t, { type Test } from 'tap';
import { applyRetention } from '../../installer/backup/apply-retention.ts';
import { newBackupId } from '../../installer/backup/backup-id.ts';
import type { BackupContext } from '../../installer/backup/context.ts';
import { listStored } from '../../installer/backup/inventory.ts';
import { backupPrefix } from '../../installer/backup/keys.ts';
import { type BackupManifest, manifestBytes } from '../../installer/backup/manifest.ts';
import { othersBackups } from '../../installer/backup/other-servers.ts';
import { DirectoryStore } from '../../installer/backup/store/directory-store.ts';
import type { ByteRange } from '../../installer/backup/store/store.ts';
import { noteStored } from '../../installer/backup/stored-by-us.ts';
import { takeOver } from '../../installer/backup/take-over.ts';
import { writerIdentity } from '../../installer/backup/writer-id.ts';
import { LocalHost } from '../../installer/host/local.ts';
import type { BackupJob } from '../../installer/model/backup-settings.ts';
import type { ProgressEvent } from '../../installer/model/events.ts';
import { pathsUnder } from '../../installer/model/paths.ts';
import { goneLately } from '../../installer/model/stored-backups.ts';

const DAY = 86_400_000;
const JOB: BackupJob = {
  ...{ name: 'daily', source: { kind: 'redis' }, cron: '0 3 * * *', store: 'bucket' },
  keepRemote: { keepSeconds: (7 * DAY) / 1000 },
};
const LOST = { host: 'old.example', id: 'id-of-the-lost' };

class CountingStore extends DirectoryStore {
  manifestsRead = 0;

  override async get(key: string, range?: ByteRange): Promise<Readable> {
    if (key.endsWith('/manifest.json')) this.manifestsRead += 1;
    return await super.get(key, range);
  }
}

/** A server that writes where others did. */
async function lab(t: Test) {
  const root = t.testdir({ store: {}, server: {} });
  const store = new CountingStore(join(root, 'store'));
  const events: ProgressEvent[] = [];
  const begun = Date.now();
  let day = 0;
  const settings = {
    ...{ project: 'shop', prefix: 'acme', timezone: 'UTC', jobs: [JOB], readBack: true },
    stores: [{ kind: 'directory', name: 'bucket', path: join(root, 'store') }],
  };
  const context = {
    ...{ host: new LocalHost(), paths: pathsUnder(join(root, 'server')), settings },
    report: (event: ProgressEvent) => void events.push(event),
    now: () => new Date(begun + day * DAY),
  } as unknown as BackupContext;
  const us = await writerIdentity(context.host, context.paths);
  /** A verified backup of that day. */
  const backup = async (on: number, writer = us): Promise<string> => {
    const at = new Date(begun + on * DAY);
    const id = newBackupId(at);
    const folder = backupPrefix(settings, 'daily', id);
    const times = { startedAt: at.toISOString(), finishedAt: at.toISOString() };
    const manifest: BackupManifest = {
      ...{ format: 'holdfast-backup', version: 1, id, project: 'shop', job: 'daily', ...times },
      ...{ method: 'archive', source: { kind: 'redis' }, writer, tools: {} },
      encryption: { kind: 'none' },
      objects: [
        {
          ...{ name: 'dump.rdb', role: 'redis', format: 'rdb', size: 0, plainSize: 0 },
          ...{ sha256: '0'.repeat(64), rangeBytes: 1, ranges: [] },
        },
      ],
    };
    for (const [name, content] of [
      ['manifest.json', manifestBytes(manifest)],
      ['verified.json', Buffer.from('{}')],
    ] as const) {
      await store.putSmall(`${folder}${name}`, content);
      utimesSync(join(root, 'store', `${folder}${name}`), at, at);
    }
    return id;
  };
  /** A run of ours on that day. */
  const run = async (on: number): Promise<string> => {
    day = on;
    const id = await backup(on);
    await noteStored(context, JOB, id);
    await applyRetention(context, JOB, store);
    return id;
  };
  const left = async () => (await listStored(store, settings, 'daily')).map(({ id }) => id);
  return { context, store, events, us, backup, run, left };
}

t.test('the newest backups of a lost server outlive those of the one in its place', async (t) => {
  const { context, store, events, us, backup, run, left } = await lab(t);
  const lost: string[] = [];
  for (let day = 0; day < 10; day += 1) lost.push(await backup(day, LOST));
  const kept = lost.slice(-3).reverse();
  const damaged = await backup(2, LOST);
  await store.putSmall(`acme/shop/daily/${damaged}/manifest.json`, Buffer.from('{'));
  // Ten days after the loss.
  for (let day = 20; day < 40; day += 1) await run(day);
  const found = await left();
  t.strictSame(found.slice(8), kept);
  t.equal(found.length, 8 + 3, 'its own go by the rules');
  t.match(events.at(-1), { code: 'backup/others-kept', text: kept.join(', ') });
  t.match(await othersBackups(context, JOB), [{ job: 'daily', writer: LOST, ids: kept }]);
  const asked = store.manifestsRead;
  t.ok(asked <= lost.length + 1, `${asked} manifests were read`);
  await run(40);
  t.equal(store.manifestsRead, asked, 'each once, and of its own none');

  events.length = 0;
  await takeOver(store, context.settings, us, [LOST.id], new Date());
  await run(41);
  t.equal((await left()).length, 8, 'whom it took over from is no other server');
  t.strictSame(events, []);
  t.strictSame(await othersBackups(context, JOB), []);
});

t.test('whom another server took over from is not continued by this one', async (t) => {
  const { context, store, backup, run, left } = await lab(t);
  const theirs = await backup(0, LOST);
  const third = { host: 'third.example', id: 'id-of-the-third' };
  await takeOver(store, context.settings, third, [LOST.id], new Date());
  for (let day = 1; day < 20; day += 1) await run(day);
  t.ok((await left()).includes(theirs));
});

t.test('a jump of the clock is remembered from run to run', async (t) => {
  const { events, run, left } = await lab(t);
  for (let day = 0; day < 6; day += 1) await run(day);
  for (let day = 66; day < 73; day += 1) await run(day);
  t.equal((await left()).length, 6 + 7);
  t.match(events.at(-1), { code: 'backup/retention-held', text: /a long pause ended/ });
  await run(73);
  t.equal((await left()).length, 8);
});

t.test('what this server stored and somebody else removed is known for a week', async (t) => {
  const { context, store, events, backup, run } = await lab(t);
  const theirs = await backup(0, LOST);
  const ours = await run(1);
  const gone = async (day: number) => {
    await run(day);
    const { host, paths } = context;
    const content = await host.read(`${paths.agent}/stored/daily.json`);
    const known = JSON.parse(Buffer.from(content ?? []).toString('utf8'));
    return goneLately(known.gone, context.now()).map(({ id }) => id);
  };
  t.strictSame(await gone(2), []);
  const keys = [ours, theirs].map((id) => `acme/shop/daily/${id}/manifest.json`);
  await store.delete(keys);
  t.strictSame(await gone(3), [ours], 'what others made is theirs to remove');
  t.match(events, [{ code: 'backup/gone', text: ours }]);
  t.strictSame(await gone(9), [ours], 'it is told once and known on');
  t.equal(events.length, 1);
  t.strictSame(await gone(10), []);
});

t.test('what retention removes is not gone', async (t) => {
  const { context, run } = await lab(t);
  for (let day = 1; day < 20; day += 1) await run(day);
  const content = await context.host.read(`${context.paths.agent}/stored/daily.json`);
  t.match(JSON.parse(Buffer.from(content ?? []).toString('utf8')), { gone: [] });
});
