import t from 'tap';
import { readBackupResult, recordBackup } from '../../installer/backup/results.ts';
import { baseRateNotices } from '../../installer/cli/base-rate-notice.ts';
import { LocalHost } from '../../installer/host/local.ts';
import { pathsUnder } from '../../installer/model/paths.ts';
import { configFrom } from '../support/component-render.ts';

const GIB = 1024 ** 3;

t.test(
  'a rate at which a base backup does not end in time is told, with its figures',
  async (t) => {
    const host = new LocalHost();
    const paths = pathsUnder(t.testdir({}));
    const said = async (maxRate: string, bases = 'daily') => {
      const cron = bases === 'daily' ? '0 1 * * *' : '0 */4 * * *';
      const config = configFrom(`
domain: app.example.com
services: { web: { image: "a:1", port: 3000, uses: [postgres] } }
postgres: { pitr: { ${maxRate} } }
backups: { jobs: [{ name: base, source: postgres, method: physical, cron: "${cron}" }] }
`);
      const notices = await baseRateNotices(host, paths, config);
      return notices.map(({ text }) => text).join();
    };
    t.equal(await said('maxRate: 32k'), '', 'nobody knows yet how large one is');
    const run = { startedAt: '', finishedAt: '', ok: true };
    const success = { id: 'x', finishedAt: '', bytes: 50 * GIB, seconds: 60 };
    await recordBackup(host, paths, 'base', run, success);
    t.match(await readBackupResult(host, paths, 'base'), { lastSuccess: { bytes: 50 * GIB } });
    t.match(
      await said('maxRate: 1m'),
      /1\.0 MiB a second: .*50\.0 GiB\) takes 15h, and the agent ends it after 12h/,
    );
    t.equal(await said('maxRate: 2m'), '');
    t.match(await said('maxRate: 2m', 'often'), /takes 8h, and the next one is due after 4h/);
    t.equal(await said('rpo: 1m', 'often'), '', 'without a limit');
  },
);
