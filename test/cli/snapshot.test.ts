import { PassThrough } from 'node:stream';
import t from 'tap';
import type { CliContext } from '../../installer/cli/context.ts';
import { snapshot } from '../../installer/cli/snapshot.ts';
import type { CommandResult } from '../../installer/host/host.ts';
import { pathsUnder } from '../../installer/model/paths.ts';
import { FakeEngine } from '../support/fake-engine.ts';
import { MemoryHost } from '../support/memory-host.ts';

const paths = pathsUnder();
const JOBS = [
  { name: 'nightly', source: { kind: 'postgres' } },
  { name: 'base', source: { kind: 'postgres' }, method: 'physical' },
  { name: 'queues', source: { kind: 'redis' } },
];

/** Another machine on which a backup is made before a migration. */
async function snapshotThere(answer: Partial<CommandResult>) {
  const host = new MemoryHost('vps');
  const settings = JSON.stringify({ version: 1, jobs: JOBS });
  await host.write(`${paths.stack}/agent/backup.json`, settings, { mode: 0o600, uid: 0, gid: 0 });
  const commands: string[] = [];
  host.on([`${paths.program}/node_modules/.bin/node`], ({ rest }) => {
    commands.push(rest.slice(1).join(' '));
    return answer;
  });
  const server = { host, engine: new FakeEngine() };
  const context: CliContext = {
    io: {
      stdin: new PassThrough(),
      out: () => undefined,
      err: () => undefined,
      isTerminal: false,
      color: false,
      columns: 80,
    },
    paths,
    packageRoot: '/',
    open: async () => server,
    report: () => undefined,
    signal: new AbortController().signal,
    now: () => new Date(),
  };
  return { ids: await snapshot(context, server), commands };
}

t.test(
  'another machine backs up its databases itself, and tells which backups those are',
  async (t) => {
    const made = [{ job: 'nightly', id: '20261129T104831Z-ae3b21', bytes: 1, seconds: 1 }];
    const { ids, commands } = await snapshotThere({ stdout: JSON.stringify({ version: 1, made }) });
    t.strictSame(commands, ['backup run nightly --json'], 'a dump of each, as a command there');
    t.strictSame(ids, ['20261129T104831Z-ae3b21']);
  },
);

t.test('a backup that fails there is told with what to do there', async (t) => {
  await t.rejects(snapshotThere({ exitCode: 12, stderr: 'the store is full' }), {
    code: 'backup/on-server',
    why: /the store is full/,
    hint: 'on vps: holdfast backup run nightly',
  });
});
