import t from 'tap';
import type { CliContext } from '../../installer/cli/context.ts';
import { parseCommand } from '../../installer/cli/parse.ts';
import { refuseServerInUse } from '../../installer/cli/restore-server-text.ts';
import { commandTable } from '../../installer/cli/table.ts';
import { pathsUnder } from '../../installer/model/paths.ts';
import { FakeEngine } from '../support/fake-engine.ts';
import { MemoryHost } from '../support/memory-host.ts';

const paths = pathsUnder();
const FILE = { mode: 0o600, uid: 0, gid: 0 };

/** A restore of the project shop on a server that runs the one named. */
async function restoreOver(running: string | undefined, ...options: string[]): Promise<void> {
  const host = new MemoryHost();
  if (running !== undefined) {
    const settings = JSON.stringify({ version: 1, project: running });
    host.files.write(`${paths.stack}/agent/agent.json`, Buffer.from(settings), FILE);
    host.files.write(paths.manifest, Buffer.from('{}'), FILE);
  }
  const server = { host, engine: new FakeEngine(host.effects) };
  const { args } = parseCommand(['restore', '--from', 's3://a/b', ...options], commandTable);
  await refuseServerInUse(args, { paths } as CliContext, server, 'shop');
}

t.test('a kit is restored over its own project when asked to, never over another', async (t) => {
  await restoreOver(undefined);
  await t.rejects(restoreOver('shop'), { code: 'restore/server-in-use' });
  await restoreOver('shop', '--replace');
  for (const options of [[], ['--replace']]) {
    await t.rejects(restoreOver('localhost', ...options), {
      code: 'restore/other-project',
      what: /runs the project localhost, and the recovery kit is of shop; nothing was changed/,
      hint: /holdfast uninstall; then the same command/,
    });
  }
});
