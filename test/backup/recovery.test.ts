import { execFileSync } from 'node:child_process';
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import t, { type Test } from 'tap';
import { type BackupManifest, manifestBytes, sha256Hex } from '../../installer/backup/manifest.ts';
import { chooseData } from '../../installer/backup/recovery/choose-data.ts';
import { findKits } from '../../installer/backup/recovery/find-kits.ts';
import {
  type Recovery,
  refuseOtherWish,
  unpackedFolder,
} from '../../installer/backup/recovery/journal.ts';
import { isSamePlace, namesPlace, parsePlace } from '../../installer/backup/recovery/place.ts';
import { placeKit } from '../../installer/backup/recovery/place-kit.ts';
import { refuseStillWritten } from '../../installer/backup/recovery/still-written.ts';
import { unpackNewest } from '../../installer/backup/recovery/unpack-kit.ts';
import { openApplianceSource } from '../../installer/backup/sources/appliance.ts';
import { DirectoryStore } from '../../installer/backup/store/directory-store.ts';
import { storeObject } from '../../installer/backup/store-object.ts';
import { DockerEngine } from '../../installer/engine/docker.ts';
import { LocalHost } from '../../installer/host/local.ts';
import type {
  BackupJob,
  BackupSettings,
  BackupStore,
} from '../../installer/model/backup-settings.ts';
import type { ProgressEvent } from '../../installer/model/events.ts';
import { pathsUnder } from '../../installer/model/paths.ts';

const host = new LocalHost();
const IDS = ['20261101T020000Z-aaaaaa', '20261102T020000Z-bbbbbb', '20261103T020000Z-cccccc'];
const WRITER = { host: 'old', id: '0b1c' };

function newKey(
  folder: string,
  name: string,
): { readonly file: string; readonly recipient: string } {
  const file = join(folder, name);
  execFileSync('age-keygen', ['-o', file], { stdio: 'ignore' });
  return { file, recipient: execFileSync('age-keygen', ['-y', file]).toString().trim() };
}

interface KitWish {
  readonly id: string;
  readonly project?: string;
  readonly verified?: boolean;
}

const NOTHING = {
  ...{ name: 'a', size: 0, sha256: '0'.repeat(64), rangeBytes: 1, ranges: [], plainSize: 0 },
  ...({ role: 'appliance', format: 'tar.zst' } as const),
};

function manifestOf(
  named: Pick<BackupManifest, 'id' | 'job' | 'writer'> & { readonly project?: string },
  recipient: string,
): BackupManifest {
  return {
    ...{ format: 'holdfast-backup', version: 1, method: 'archive', project: 'shop', ...named },
    source: { kind: 'appliance' },
    startedAt: '2026-11-01T02:00:00Z',
    finishedAt: '2026-11-01T02:00:01Z',
    encryption: { kind: 'age', recipients: [recipient] },
    tools: {},
    objects: [NOTHING],
  };
}

function markOf(manifest: BackupManifest): Buffer {
  const manifestSha256 = sha256Hex(manifestBytes(manifest));
  const mark = { version: 1, id: manifest.id, at: manifest.finishedAt, manifestSha256, checks: [] };
  return Buffer.from(JSON.stringify(mark));
}

/** A store, and a way to put kits of a small server there. */
async function lab(t: Test) {
  const folder = t.testdir({ store: {}, old: {}, new: {} });
  const key = newKey(folder, 'mine.txt');
  const recipientsFile = join(folder, 'recipients.txt');
  writeFileSync(recipientsFile, `${key.recipient}\n`);
  const store = new DirectoryStore(join(folder, 'store'));
  const old = pathsUnder(join(folder, 'old'));
  mkdirSync(join(old.state, 'applied'), { recursive: true });
  mkdirSync(old.secrets, { recursive: true, mode: 0o700 });
  writeFileSync(join(old.secrets, 'TOKEN'), 'hush', { mode: 0o600 });
  const put = async ({ id, project = 'shop', verified = true }: KitWish): Promise<string> => {
    writeFileSync(join(old.state, 'applied/config.yaml'), `# of ${id}\n`);
    const source = await openApplianceSource({ host, paths: old, report: () => undefined });
    const prefix = `acme/prod/${project}/kit/${id}/`;
    const objects: BackupManifest['objects'] = [];
    for (const object of source.objects) {
      const target = { store, folder: prefix, recipientsFile, localCopy: undefined };
      objects.push(await storeObject({ ...target, onProgress: () => undefined }, object));
    }
    const named = { id, project, job: 'kit', writer: WRITER };
    const manifest = { ...manifestOf(named, key.recipient), objects };
    await store.putSmall(`${prefix}manifest.json`, manifestBytes(manifest));
    if (verified) await store.putSmall(`${prefix}verified.json`, markOf(manifest));
    return join(folder, 'store', prefix, 'appliance.tar.zst.age');
  };
  const events: ProgressEvent[] = [];
  const report = (event: ProgressEvent): void => void events.push(event);
  const paths = pathsUnder(join(folder, 'new'));
  const where = { folder: unpackedFolder(paths), identityFile: key.file, report };
  return { folder, key, store, put, events, report, paths, where };
}

t.test('a place is a bucket or a folder; everything else names a server', async (t) => {
  t.ok(namesPlace('s3://acme/prod') && namesPlace('/srv/copy') && namesPlace('./copy'));
  t.notOk(namesPlace('db-1'));
  t.strictSame(parsePlace('s3://acme-backups/prod/eu/'), {
    ...{ kind: 's3', bucket: 'acme-backups', prefix: 'prod/eu' },
  });
  t.match(parsePlace('s3://acme-backups'), { prefix: '' });
  t.match(parsePlace('/srv/../srv/copy'), { kind: 'directory', path: '/srv/copy' });
  t.throws(() => parsePlace('s3://'), { code: 'usage/recovery-place' });
  const bucket = { kind: 's3', name: 'a', endpoint: 'https://s3', region: 'eu', bucket: 'b' };
  const keys = { accessKeyIdSecret: 'A', secretAccessKeySecret: 'B' };
  const far = { ...bucket, ...keys } as BackupStore;
  t.ok(isSamePlace(far, { ...far, name: 'a-cold', storageClass: 'GLACIER_IR' } as BackupStore));
  t.notOk(isSamePlace(far, { ...far, bucket: 'other' } as BackupStore));
  t.notOk(isSamePlace(far, { kind: 'directory', name: 'd', path: '/srv' }));
});

t.test('kits are found without a config, the newest that was read back first', async (t) => {
  const { store, put, events, report } = await lab(t);
  await t.rejects(findKits(store, '', undefined, report), { code: 'restore/no-kit' });
  await put({ id: IDS[0] ?? '', verified: false });
  t.match(await findKits(store, '', undefined, report), [{ id: IDS[0] }]);
  t.match(events, [{ code: 'restore/kit-unverified' }]);
  await put({ id: IDS[1] ?? '' });
  await put({ id: IDS[2] ?? '' });
  await store.delete([`acme/prod/shop/kit/${IDS[2]}/manifest.json`]);
  const found = await findKits(store, 'acme/', undefined, report);
  t.strictSame(found, [
    {
      ...{ id: IDS[1], job: 'kit', project: 'shop', prefix: 'acme/prod' },
      folder: `acme/prod/shop/kit/${IDS[1]}/`,
    },
  ]);
  await put({ id: IDS[2] ?? '', project: 'blog' });
  await t.rejects(findKits(store, '', undefined, report), {
    code: 'restore/several-projects',
    why: 'acme/prod/blog\nacme/prod/shop',
  });
  t.match(await findKits(store, '', 'shop', report), [{ id: IDS[1] }]);
});

t.test('a damaged kit is passed over, and its bytes go nowhere', async (t) => {
  const { store, put, events, report, where, paths } = await lab(t);
  for (const id of IDS) {
    const file = await put({ id });
    if (id === IDS[0]) continue;
    const content = readFileSync(file);
    content[content.length >> 1] = (content[content.length >> 1] ?? 0) ^ 4;
    writeFileSync(file, content);
  }
  await store.putSmall(`acme/prod/shop/kit/${IDS[0]}/verified.json`, Buffer.from(''));
  const kits = await findKits(store, '', undefined, report);
  const { kit, manifest } = await unpackNewest(host, store, kits, where);
  t.equal(kit.id, IDS[0]);
  t.strictSame(manifest.writer, WRITER);
  t.match(events, [
    { text: new RegExp(IDS[2] ?? '') },
    { text: new RegExp(IDS[1] ?? '') },
    { code: 'backup/mark-damaged', text: `holdfast backup verify ${IDS[0]}` },
  ]);
  for (const run of ['placed', 'placed once more, as after a kill']) {
    await placeKit(host, paths);
    t.equal(
      readFileSync(join(paths.state, 'applied/config.yaml'), 'utf8'),
      `# of ${IDS[0]}\n`,
      run,
    );
    t.equal(readFileSync(join(paths.secrets, 'TOKEN'), 'utf8'), 'hush');
  }
  await t.rejects(unpackNewest(host, store, kits.slice(0, 2), where), { code: 'backup/damaged' });
});

t.test('another key, or none: the keys that open the kit are named', async (t) => {
  const { folder, key, store, put, report, where, paths } = await lab(t);
  await put({ id: IDS[0] ?? '' });
  const kits = await findKits(store, '', undefined, report);
  const other = newKey(folder, 'other.txt');
  await t.rejects(unpackNewest(host, store, kits, { ...where, identityFile: other.file }), {
    code: 'restore/wrong-identity',
    why: `the kit ${IDS[0]} was encrypted to: ${key.recipient}`,
  });
  await t.rejects(unpackNewest(host, store, kits, { ...where, identityFile: undefined }), {
    code: 'restore/no-identity',
  });
  t.notOk(existsSync(join(paths.state, 'applied')));
});

t.test('a place that somebody writes to is not taken over by chance', async (t) => {
  const { store, put, report } = await lab(t);
  await put({ id: IDS[0] ?? '' });
  const [kit] = await findKits(store, '', undefined, report);
  if (kit === undefined) throw new Error('no kit');
  const after = (minutes: number): Date => new Date(Date.now() + minutes * 60_000);
  for (const minutes of [-60, 1]) {
    await t.rejects(refuseStillWritten(store, kit, after(minutes)), {
      code: 'restore/still-written',
      hint: /--take-over/,
    });
  }
  await t.resolves(refuseStillWritten(store, kit, after(20)));
  const elsewhere = { ...kit, project: 'blog' };
  await t.resolves(
    refuseStillWritten(store, elsewhere, after(0)),
    'another project is another matter',
  );
});

t.test(
  'data comes from the server that made the kit, the newest that was read back first',
  async (t) => {
    const { store, report, events, paths, key } = await lab(t);
    const settings: BackupSettings = {
      ...{ version: 1, project: 'shop', prefix: 'acme', timezone: 'UTC', stores: [] },
      jobs: [
        job('daily', { kind: 'postgres', databases: ['shop'] }),
        job('monthly', { kind: 'postgres', databases: ['shop'] }),
        job('queues', { kind: 'redis' }),
        job('kit', { kind: 'appliance' }),
        job('volume-files', {
          kind: 'volume',
          name: 'files',
          volume: 'shop_files',
          service: 'web',
        }),
      ],
      ...{ recipients: [], encryption: 'age', readBack: true, assertions: [], objectives: {} },
    };
    const put = async (of: string, id: string, writer: string, verified = true): Promise<void> => {
      const manifest = manifestOf(
        { id, job: of, writer: { host: writer, id: writer } },
        key.recipient,
      );
      await store.putSmall(`acme/shop/${of}/${id}/manifest.json`, manifestBytes(manifest));
      const mark = `acme/shop/${of}/${id}/verified.json`;
      if (verified) await store.putSmall(mark, markOf(manifest));
    };
    const [first = '', second = '', third = ''] = IDS;
    await put('daily', first, 'old');
    await put('monthly', second, 'old');
    await put('daily', third, 'new');
    await put('daily', '20261104T020000Z-dddddd', 'old', false);
    await put('queues', first, 'new');
    const engine = new DockerEngine();
    t.teardown(() => engine.close());
    const context = { host, engine, paths, settings, report, now: () => new Date() };
    const found = await chooseData(
      settings,
      { writer: { host: 'old', id: 'old' }, identityFile: key.file, latest: true },
      () => ({ ...context, openStore: async () => store }),
    );
    t.strictSame(found, [
      {
        ...{ what: 'postgres', kind: 'postgres', rollsForward: false },
        backups: [
          { job: 'monthly', id: second },
          { job: 'daily', id: first },
        ],
      },
      {
        ...{ what: 'redis', kind: 'redis', rollsForward: false },
        backups: [{ job: 'queues', id: first }],
      },
      { what: 'volume files', kind: 'volume', backups: [], rollsForward: false },
    ]);
    t.match(events, [{ code: 'restore/of-another-server', text: /redis is of old/ }]);
  },
);

function job(name: string, source: BackupJob['source']): BackupJob {
  return { name, source, cron: '0 2 * * *', store: 'far', keepRemote: {} };
}

t.test('a restore that was begun goes on by what it was begun with', async (t) => {
  const paths = pathsUnder('/srv');
  const asked = { place: parsePlace('s3://acme/prod'), latest: false };
  const refuse = (wish: typeof asked, begun: object = { asked }) =>
    refuseOtherWish(paths, JSON.parse(JSON.stringify(begun)) as Recovery, wish);
  refuse(asked);
  refuse({ ...asked, latest: true }, {});
  for (const other of [{ place: parsePlace('/mnt/copy') }, { latest: true }, { project: 'shop' }]) {
    t.throws(() => refuse({ ...asked, ...other }), {
      code: 'restore/under-way',
      why: /: --from s3:\/\/acme\/prod$/,
      hint: /journal\.json away/,
    });
  }
});
