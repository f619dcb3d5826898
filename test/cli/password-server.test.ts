import t from 'tap';
import { loginOf, passwordServer } from '../../installer/cli/password-server.ts';
import { LABELS } from '../../installer/model/labels.ts';
import { pathsUnder } from '../../installer/model/paths.ts';
import { Secret } from '../../installer/model/secret.ts';
import { SecretStore } from '../../installer/secrets/store.ts';
import { installCoreutils } from '../apply/coreutils.ts';
import { processOn, SERVER } from '../apply/process.ts';
import { configOf } from '../support/component-input.ts';
import { type Executed, FakeEngine } from '../support/fake-engine.ts';
import { MemoryHost } from '../support/memory-host.ts';

const NAME = 'GRAFANA_ADMIN_PASSWORD';
const config = configOf('services: { web: { image: "acme/web:1", port: 3000 } }');

/** A Grafana that answers like this to its own program, and the change of its password. */
function grafana(answer: Executed | undefined) {
  const host = new MemoryHost();
  installCoreutils(host);
  const engine = new FakeEngine();
  if (answer !== undefined) {
    engine.addImage('grafana:1');
    const labels = { [LABELS.project]: 'shop', 'com.docker.compose.service': 'grafana' };
    const spec = { name: 'g', service: 'grafana', image: 'grafana:1', labels, checked: false };
    engine.start(engine.create({ ...spec, memoryLimit: 0, networks: [] }).id);
    engine.onExec(['grafana', 'cli'], () => answer);
  }
  const login = loginOf(config, NAME);
  if (login === undefined) throw new Error('Grafana keeps its password itself');
  const paths = pathsUnder();
  const store = new SecretStore(host, paths);
  const named = { project: 'shop', command: 'holdfast secrets rotate', process: processOn(SERVER) };
  const server = passwordServer({ server: { host, engine }, paths, store, ...named }, login);
  return { engine, change: () => server.change(new Secret('new password')) };
}

t.test('Grafana is told its new password by its own program, on standard input', async (t) => {
  const { engine, change } = grafana({ stdout: 'Admin password changed successfully\n' });
  await change();
  t.match(engine.execs, [{ argv: /./, stdin: Buffer.from('new password\n') }]);
  t.match(engine.execs[0]?.argv, ['grafana', 'cli']);
  t.notMatch(engine.execs[0]?.argv.join(' '), /new password/);
});

t.test('a Grafana that does not take it fails the rotation, with its reason', async (t) => {
  for (const answer of [
    { exitCode: 1, stderr: 'database is locked' },
    { exitCode: 0, stdout: 'database is locked' },
  ]) {
    await t.rejects(grafana(answer).change(), {
      code: 'secret/server-refused',
      what: 'grafana did not take the new password of user admin',
      why: 'database is locked',
    });
  }
});

t.test('where there is no Grafana, nobody is told', async (t) => {
  const { engine, change } = grafana(undefined);
  await change();
  t.strictSame(engine.execs, []);
});
