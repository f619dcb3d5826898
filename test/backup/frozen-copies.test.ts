import t, { type Test } from 'tap';
import { applyRetention } from '../../installer/backup/apply-retention.ts';
import { newBackupId } from '../../installer/backup/backup-id.ts';
import type { BackupContext } from '../../installer/backup/context.ts';
import { listStored } from '../../installer/backup/inventory.ts';
import { backupPrefix, MANIFEST_NAME } from '../../installer/backup/keys.ts';
import { DirectoryStore } from '../../installer/backup/store/directory-store.ts';
import { noteStored } from '../../installer/backup/stored-by-us.ts';
import { LocalHost } from '../../installer/host/local.ts';
import type { BackupJob } from '../../installer/model/backup-settings.ts';
import type { ProgressEvent } from '../../installer/model/events.ts';
import { pathsUnder } from '../../installer/model/paths.ts';

const DAY = 86_400;
const COUNT = 12;
const origin = { kind: 'redis' } as const;
const copies = { kind: 'backup', name: 'redis' } as const;

/** Daily backups of which none is verified, in a store of this class, and what its job's retention leaves of them. */
async function left(
  t: Test,
  source: BackupJob['source'],
  storageClass: string,
  { isOurs = true } = {},
) {
  const job: BackupJob = {
    ...{ name: source.kind === 'backup' ? 'redis-cold' : 'redis', source, cron: '0 3 * * *' },
    ...{ store: 'cold', keepRemote: { keepSeconds: 5 * DAY } },
  };
  const settings = {
    ...{ project: 'app', prefix: '', timezone: 'UTC', jobs: [job], readBack: true },
    stores: [{ kind: 's3', name: 'cold', storageClass }],
  };
  const folder = t.testdir({});
  const store = new DirectoryStore(`${folder}/store`);
  const now = new Date();
  const ids: string[] = [];
  for (let age = 0; age < COUNT; age += 1) {
    const id = newBackupId(new Date(now.getTime() - age * DAY * 1000));
    ids.push(id);
    const place = { project: 'app', prefix: '' };
    await store.putSmall(`${backupPrefix(place, 'redis', id)}${MANIFEST_NAME}`, Buffer.from('{}'));
  }
  const events: ProgressEvent[] = [];
  const context = {
    ...{ host: new LocalHost(), paths: pathsUnder(`${folder}/root`), settings, now: () => now },
    report: (event: ProgressEvent) => events.push(event),
  } as unknown as BackupContext;
  for (const id of isOurs ? ids : []) await noteStored(context, job, id);
  await applyRetention(context, job, store);
  return { events, stored: await listStored(store, settings, 'redis') };
}

t.test('copies in a store that cannot be read expire: they were compared on the way', async (t) => {
  const { events, stored } = await left(t, copies, 'DEEP_ARCHIVE');
  t.equal(stored.length, 6);
  t.strictSame(events, []);
});

t.test('those that this server did not copy there keep three, whosever they are', async (t) => {
  const { events, stored } = await left(t, copies, 'DEEP_ARCHIVE', { isOurs: false });
  t.equal(stored.length, 9);
  t.match(events, [{ code: 'backup/others-kept' }]);
});

t.test('backups made straight into one stay, and that is told', async (t) => {
  const { events, stored } = await left(t, origin, 'GLACIER');
  t.equal(stored.length, COUNT);
  t.match(events, [{ code: 'backup/retention-held', text: /could be verified/ }]);
});

t.test('copies in a store that can be read have to be verified there', async (t) => {
  const { events, stored } = await left(t, copies, 'STANDARD');
  t.equal(stored.length, COUNT);
  t.match(events, [{ code: 'backup/retention-held' }]);
});
