import t from 'tap';
import { exclusively } from '../../installer/backup/exclusive.ts';
import { backupLock, jobLocks, waitForBackups } from '../../installer/backup/wait-for-backups.ts';
import { LocalHost } from '../../installer/host/local.ts';
import { pathsUnder } from '../../installer/model/paths.ts';

t.test('an update waits for the backups that run, and for no others', async (t) => {
  const host = new LocalHost();
  const paths = pathsUnder(t.testdir({}));
  let release = (): void => undefined;
  let running: Promise<void> = Promise.resolve();
  await new Promise<void>((held) => {
    running = exclusively(host, jobLocks(paths), backupLock('daily'), async () => {
      held();
      await new Promise<void>((resolve) => {
        release = resolve;
      });
    });
  });
  await t.resolves(waitForBackups(host, paths, ['weekly'], 0));
  await t.rejects(waitForBackups(host, paths, ['weekly', 'daily'], 1), { code: 'lock/held' });
  let done = false;
  const waiting = waitForBackups(host, paths, ['daily'], 60).then(() => {
    done = true;
  });
  t.equal(done, false);
  release();
  await Promise.all([running, waiting]);
  t.equal(done, true);
});
