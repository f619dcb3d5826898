import t from 'tap';
import { commandTable } from '../../installer/cli/table.ts';
import type { BackupSettings } from '../../installer/model/backup-settings.ts';
import { pathsUnder } from '../../installer/model/paths.ts';
import { runCommand } from '../support/cli.ts';
import { FakeEngine } from '../support/fake-engine.ts';
import { MemoryHost } from '../support/memory-host.ts';

const SETTINGS: BackupSettings = {
  version: 1,
  project: 'shop',
  prefix: 'shop',
  timezone: 'UTC',
  stores: [],
  jobs: [],
  recipients: [],
  encryption: 'none',
  readBack: true,
  assertions: [],
  objectives: {},
};

t.test('a run without any job says so, and what to do', async (t) => {
  const host = new MemoryHost();
  host.files.write(
    `${pathsUnder().stack}/agent/backup.json`,
    Buffer.from(JSON.stringify(SETTINGS)),
    { mode: 0o600, uid: 0, gid: 0 },
  );
  const server = { host, engine: new FakeEngine(host.effects) };
  const run = (...more: string[]) =>
    runCommand(['backup', 'run', ...more], commandTable, { server });
  t.match(await run(), { exitCode: 0, stdout: /no backup job: .*backups\.jobs.*holdfast apply\n/ });
  t.strictSame(JSON.parse((await run('--json')).stdout), { version: 1, made: [] });
});
