import t from 'tap';
import { refuseOtherProject } from '../../installer/cli/other-project.ts';
import { commandTable } from '../../installer/cli/table.ts';
import { pathsUnder } from '../../installer/model/paths.ts';
import { BASE, WEB } from '../config/support.ts';
import { runCommand } from '../support/cli.ts';
import { FakeEngine } from '../support/fake-engine.ts';
import { MemoryHost } from '../support/memory-host.ts';

const ROOT_FILE = { mode: 0o600, uid: 0, gid: 0 };

function server(project: string) {
  const host = new MemoryHost();
  const settings = Buffer.from(JSON.stringify({ version: 1, project }));
  host.files.write(`${pathsUnder().stack}/agent/agent.json`, settings, ROOT_FILE);
  return { host, engine: new FakeEngine(host.effects) };
}

t.test('another domain does not become another project beside the one that runs', async (t) => {
  const folder = t.testdir({ 'config.yaml': `${BASE}\n${WEB}\n` });
  for (const command of [['plan'], ['apply', '--yes']]) {
    const { host, engine } = server('demo');
    const before = host.effects.count;
    const run = await runCommand([...command, '--config', `${folder}/config.yaml`], commandTable, {
      server: { host, engine },
    });
    t.match(run, {
      exitCode: 2,
      stderr:
        /runs the project demo, and this config is of the project app[\s\S]*`project: demo`[\s\S]*`holdfast uninstall`[\s\S]*config\/other-project/,
    });
    t.equal(host.effects.count, before, 'nothing was changed');
  }
});

t.test('the same project, a first one and one beside it under another root go on', async () => {
  const { host } = server('demo');
  await refuseOtherProject(host, pathsUnder(), 'demo');
  await refuseOtherProject(new MemoryHost(), pathsUnder(), 'shop');
  await refuseOtherProject(host, pathsUnder('/srv/other'), 'shop');
});

t.test('settings that somebody broke hold up no apply, which puts them back', async (t) => {
  for (const text of ['', '{"version":1,"proj', 'null']) {
    const { host, engine } = server('demo');
    host.files.write(`${pathsUnder().stack}/agent/agent.json`, Buffer.from(text), ROOT_FILE);
    await refuseOtherProject(host, pathsUnder(), 'demo');
    const run = await runCommand(['status'], commandTable, { server: { host, engine } });
    t.match(run.stderr, /agent\.json cannot be read[\s\S]*apply --adopt[\s\S]*drift\/file-damaged/);
  }
});
