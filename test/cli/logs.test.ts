import t from 'tap';
import { commandTable } from '../../installer/cli/table.ts';
import { LABELS } from '../../installer/model/labels.ts';
import { pathsUnder } from '../../installer/model/paths.ts';
import { runCommand } from '../support/cli.ts';
import { FakeEngine } from '../support/fake-engine.ts';
import { MemoryHost } from '../support/memory-host.ts';

const PATHS = pathsUnder();

/** A server with these replicas of `web`, each of which says its own name. */
function serverWith(...names: readonly string[]) {
  const host = new MemoryHost();
  const settings = Buffer.from(
    JSON.stringify({ project: 'shop', accessLog: { service: 'nginx' } }),
  );
  host.files.write(`${PATHS.stack}/agent/agent.json`, settings, { mode: 0o600, uid: 0, gid: 0 });
  const engine = new FakeEngine();
  engine.addImage('acme/web:1');
  engine.behave('web', { health: 'none', logs: 'one\ntwo\nthree\n' });
  for (const name of names) {
    const labels = { [LABELS.project]: 'shop', 'com.docker.compose.service': 'web' };
    const spec = { name, service: 'web', image: 'acme/web:1', labels, checked: false };
    const { id } = engine.create({ ...spec, memoryLimit: 0, networks: [] });
    engine.start(id);
  }
  return { host, engine };
}

async function logs(names: readonly string[], ...more: readonly string[]) {
  return logsUntil('interrupted', names, ...more);
}

async function logsUntil(
  end: 'interrupted' | 'closed',
  names: readonly string[],
  ...more: readonly string[]
) {
  const enough = new AbortController();
  const never = new AbortController().signal;
  const server = serverWith(...names);
  const asked: (string | undefined)[] = [];
  let lines = 0;
  const run = runCommand(['logs', 'web', ...more], commandTable, {
    server,
    more: {
      signal: end === 'interrupted' ? enough.signal : never,
      open: async (target) => {
        asked.push(target);
        return server;
      },
      io: {
        stdin: process.stdin,
        out: (text) => {
          said += text;
          lines += text.split('\n').length - 1;
          // As whoever has read all that there is so far.
          if (lines === 2 * names.length) enough.abort();
        },
        err: () => undefined,
        isTerminal: false,
        color: false,
        columns: 80,
        closed: end === 'closed' ? enough.signal : never,
      },
    },
  });
  let said = '';
  const { exitCode } = await run;
  return { exitCode, said, asked };
}

t.test('the last lines of each replica, under its name', async (t) => {
  t.match(await logs(['a', 'b'], '--tail', '1'), { said: '── a\nthree\n── b\nthree\n' });
  t.match(await logs(['a'], '--tail', '2'), { said: 'two\nthree\n' });
});

t.test('all replicas are followed, until it is enough', async (t) => {
  const both = await logs(['a', 'b'], '--follow', '--tail', '2');
  t.equal(both.exitCode, 0);
  t.strictSame(both.said.trim().split('\n').sort(), ['a: three', 'a: two', 'b: three', 'b: two']);
  const one = { exitCode: 0, said: 'two\nthree\n' };
  t.match(await logs(['a'], '-f', '--tail', '2'), one);
  t.match(await logsUntil('closed', ['a'], '-f', '--tail', '2'), one, 'as by `head`');
});

t.test('of another server, its engine is asked', async (t) => {
  const there = await logs(['a'], '-f', '--tail', '2', '--host', 'root@192.0.2.9');
  t.match(there, { exitCode: 0, asked: ['root@192.0.2.9'], said: 'two\nthree\n' });
});

t.test('a server without containers is called that', async (t) => {
  t.match(await runCommand(['logs', 'web'], commandTable, { server: serverWith() }), {
    exitCode: 2,
    stderr: /this server has no containers\n {2}→ holdfast apply/,
  });
});
