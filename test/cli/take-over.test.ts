import { execFileSync } from 'node:child_process';
import { mkdirSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import t from 'tap';
import { pathsUnder } from '../../installer/model/paths.ts';

const MAIN = new URL('../../installer/cli/main.ts', import.meta.url).pathname;
const ID = '20261101T000000Z-aaaaaa';
const LOST = { host: 'old.example', id: 'id-of-the-lost' };

t.test('backup list names whose backups are kept, and take-over lets them expire', async (t) => {
  const root = t.testdir();
  const paths = pathsUnder(join(root, 'server'));
  const write = (path: string, content: object): void => {
    mkdirSync(dirname(path), { recursive: true });
    writeFileSync(path, JSON.stringify(content));
  };
  const store = join(root, 'store');
  for (const name of ['manifest', 'verified']) {
    write(join(store, 'acme/shop/daily', ID, `${name}.json`), {});
  }
  write(join(paths.stack, 'agent/backup.json'), {
    ...{ version: 1, project: 'shop', prefix: 'acme', timezone: 'UTC', recipients: [] },
    ...{ encryption: 'none', readBack: true, assertions: [], objectives: {} },
    stores: [{ kind: 'directory', name: 'local', path: store }],
    jobs: [
      {
        ...{ name: 'daily', source: { kind: 'redis' }, cron: '0 3 * * *', store: 'local' },
        keepRemote: { keepSeconds: 604_800 },
      },
    ],
  });
  write(join(paths.agent, 'stored/daily.json'), {
    ...{ version: 1, store: 'local', ids: [ID], writers: { [ID]: LOST }, spared: [ID] },
  });
  const holdfast = (...args: string[]): string =>
    execFileSync(process.execPath, [MAIN, 'backup', ...args], {
      ...{ encoding: 'utf8', env: { ...process.env, HOLDFAST_ROOT: join(root, 'server') } },
    });
  t.match(
    holdfast('list'),
    `Kept in local beyond keepRemote of daily, made by old.example (id id-of-th): ${ID}`,
  );
  t.match(JSON.parse(holdfast('list', '--json')), { others: [{ writer: LOST, ids: [ID] }] });
  t.match(holdfast('take-over', '--yes'), /^local: the next backup of each job applies keepRemote/);
  t.match(holdfast('take-over', '--yes'), /nothing to do/);
});
