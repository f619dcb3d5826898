import t from 'tap';
import { serverSettings } from '../../installer/components/postgres/server-settings.ts';
import {
  confValue,
  needsRestart,
  settingProblem,
  sharedBuffersBytes,
} from '../../installer/components/postgres/settings.ts';
import { tune } from '../../installer/components/postgres/tuning.ts';

const MIB = 1024 ** 2;
const GIB = 1024 ** 3;

function mebibytes(setting: string | undefined): number {
  return Number.parseInt(setting ?? '', 10) / 1024;
}

t.test('figures for a small, a middle and a large machine', async (t) => {
  const table = [
    { memory: 1 * GIB - 40 * MIB, cores: 1, shared: 64, cache: 192, work: 1, limit: 384 },
    { memory: 2 * GIB, cores: 2, shared: 128, cache: 384, work: 1.28, limit: 1012 },
    { memory: 8 * GIB, cores: 4, shared: 512, cache: 1536, work: 5.12, limit: 2356 },
    { memory: 64 * GIB, cores: 16, shared: 4096, cache: 12288, work: 40.96, limit: 16384 },
  ];
  for (const { memory, cores, shared, cache, work, limit } of table) {
    const { settings, memoryLimit } = tune({ memoryBytes: memory, cores, maxConnections: 100 });
    t.equal(mebibytes(settings['shared_buffers']), shared);
    t.equal(mebibytes(settings['effective_cache_size']), cache);
    t.ok(Math.abs(mebibytes(settings['work_mem']) - work) < 0.01, String(settings['work_mem']));
    t.equal(memoryLimit / MIB, limit);
  }
});

t.test('one core plans no parallel query, many cores at most four workers each', async (t) => {
  const workers = (cores: number) =>
    tune({ memoryBytes: 8 * GIB, cores, maxConnections: 100 }).settings[
      'max_parallel_workers_per_gather'
    ];
  t.strictSame([1, 2, 4, 8, 64].map(workers), ['0', '1', '2', '4', '4']);
});

t.test(
  'the limit covers what the server may take, and leaves the product half of the machine',
  async (t) => {
    for (let memory = 512 * MIB; memory <= 128 * GIB; memory *= 2) {
      for (const maxConnections of [10, 100, 5000]) {
        const { settings, memoryLimit } = tune({ memoryBytes: memory, cores: 2, maxConnections });
        const shared = mebibytes(settings['shared_buffers']) * MIB;
        t.ok(memoryLimit >= 2 * shared, `${memory} ${maxConnections}`);
        t.ok(memoryLimit <= Math.max(256 * MIB, memory / 2), `${memory} ${maxConnections}`);
      }
    }
  },
);

t.test('a kernel update that takes some kilobytes changes nothing', async (t) => {
  const before = tune({ memoryBytes: 1987 * MIB, cores: 2, maxConnections: 100 });
  const after = tune({ memoryBytes: 1987 * MIB - 3172 * 1024, cores: 2, maxConnections: 100 });
  t.strictSame(after, before);
});

const MACHINE = { memoryBytes: 4 * GIB, cores: 2 };

t.test('settings of the user win, each in the file that its change needs', async (t) => {
  const { restart, reload, tuning } = serverSettings(
    {
      maxConnections: 50,
      settings: {
        work_mem: '16MB',
        shared_buffers: '1GB',
        shared_preload_libraries: 'auto_explain, pg_stat_statements',
        search_path: `"$user", 'it''s'`,
      },
    },
    MACHINE,
  );
  const value = (lines: typeof restart, name: string) =>
    lines.find((line) => line.name === name)?.value;
  t.equal(value(reload, 'work_mem'), "'16MB'");
  t.equal(value(restart, 'work_mem'), undefined);
  t.equal(value(restart, 'shared_buffers'), "'1GB'");
  t.equal(value(restart, 'max_connections'), "'50'");
  t.equal(value(restart, 'shared_preload_libraries'), "'pg_stat_statements,auto_explain'");
  t.equal(value(reload, 'search_path'), `'"$user", ''it''''s'''`);
  const usual = serverSettings({ maxConnections: 50, settings: {} }, MACHINE).tuning.memoryLimit;
  t.ok(tuning.memoryLimit >= usual + 512 * MIB, 'the limit follows a wish for shared_buffers');
});

t.test('what would lose data, break backups or lead around the config is refused', async (t) => {
  const refused = {
    data_directory: '/tmp',
    hba_file: '/tmp/x',
    listen_addresses: '*',
    include: '/etc/passwd',
    fsync: 'off',
    full_page_writes: 'No',
    wal_level: 'minimal',
    archive_command: 'curl example.com',
    max_connections: '5',
    password_encryption: 'md5',
    zero_damaged_pages: 'on',
  };
  for (const [name, value] of Object.entries(refused)) {
    t.type(settingProblem(name, value), 'string', name);
    t.throws(() => serverSettings({ maxConnections: 100, settings: { [name]: value } }, MACHINE), {
      code: 'config/postgres-setting',
    });
  }
  for (const value of ['0', 'f', 'fa', 'of', 'OFF', 'n', 'false']) {
    t.type(settingProblem('fsync', value), 'string', `fsync=${value}`);
  }
  const allowed = { fsync: 'on', wal_level: 'logical', synchronous_commit: 'off', work_mem: '4MB' };
  for (const [name, value] of Object.entries(allowed))
    t.equal(settingProblem(name, value), undefined);
});

t.test('a value stays one inert text of postgresql.conf', async (t) => {
  t.equal(confValue("a'b\\c"), "'a''b\\\\c'");
  t.throws(() => confValue("a'\nfsync=off"));
});

t.test('sizes are read as the server reads them', async (t) => {
  t.equal(sharedBuffersBytes('128MB'), 128 * MIB);
  t.equal(sharedBuffersBytes('16384'), 128 * MIB, 'blocks without a unit');
  t.equal(sharedBuffersBytes('1.5GB'), 1.5 * GIB);
  t.equal(sharedBuffersBytes('128mb'), undefined, 'units are case-sensitive');
});

t.test('settings of extensions restart, plain ones reload', async (t) => {
  t.equal(needsRestart('pg_stat_statements.max'), true);
  t.equal(needsRestart('shared_buffers'), true);
  t.equal(needsRestart('work_mem'), false);
});
