import t from 'tap';
import { type UninstallRequest, uninstall } from '../../installer/apply/uninstall.ts';
import { projectOn } from '../../installer/cli/applied.ts';
import { commandTable } from '../../installer/cli/table.ts';
import { LABELS } from '../../installer/model/labels.ts';
import { runCommand } from '../support/cli.ts';
import { platform } from './platform.ts';
import { processOn, SERVER } from './process.ts';
import { PATHS, World } from './world.ts';

const UNIT = '/etc/systemd/system/holdfast-agent.service';
const OWN_FILE = { mode: 0o644, uid: 0, gid: 0 };

async function applied(): Promise<World> {
  const world = new World();
  world.host.files.write(PATHS.config, Buffer.from('version: 1\n'), OWN_FILE);
  world.host.files.write(`${PATHS.backups}/daily.age`, Buffer.from('backup'), OWN_FILE);
  world.host.files.write('/etc/hosts', Buffer.from('theirs'), OWN_FILE);
  await world.apply(platform());
  world.engine.addImage('theirs');
  const labels = { [LABELS.project]: 'other' };
  world.engine.create({
    ...{ name: 'theirs', service: 'web', image: 'theirs', labels, checked: false },
    ...{ memoryLimit: 0, networks: [] },
  });
  world.engine.volumeLabels.set('other_data', labels);
  world.engine.networkStates.set('other_front', { subnet: '', labels });
  return world;
}

async function withAgentSettings({ host }: World): Promise<void> {
  await host.write(`${PATHS.stack}/agent/agent.json`, '{"project":"demo"}', OWN_FILE);
}

async function remove(world: World, more: Partial<UninstallRequest> = {}) {
  return uninstall(world.context, {
    process: processOn(SERVER, { pid: 500 }),
    waitSeconds: 0,
    purge: false,
    images: false,
    confirm: async () => true,
    ...more,
  });
}

function ours(world: World): string[] {
  return world.host.files.paths().filter((path) => path.includes('holdfast'));
}

t.test(
  'uninstall takes everything down and keeps volumes, backups, secrets and config',
  async (t) => {
    const world = await applied();
    await remove(world);
    t.strictSame(
      world.engine.all().map(({ name }) => name),
      ['theirs'],
    );
    t.strictSame([...world.engine.networkStates.keys()], ['other_front']);
    t.strictSame([...world.engine.volumeLabels.keys()].sort(), [
      'demo_cache',
      'demo_postgres',
      'other_data',
    ]);
    t.strictSame(ours(world), [
      PATHS.config,
      PATHS.audit,
      `${PATHS.backups}/daily.age`,
      PATHS.lock,
      PATHS.projectRecord,
      `${PATHS.secrets}/DB_PASSWORD`,
    ]);
  },
);

t.test('the agent is stopped before the containers that it looks after', async (t) => {
  const world = await applied();
  world.host.effects.transcript.length = 0;
  await remove(world);
  const { transcript } = world.host.effects;
  const unit = transcript.indexOf('run systemctl disable --now holdfast-agent.service');
  const containers = transcript.findIndex((line) => line.includes('container stop'));
  t.ok(unit >= 0 && unit < containers, transcript.join('\n'));
  t.equal(world.text(UNIT), undefined);
  t.equal(transcript.filter((line) => line === 'run systemctl daemon-reload').length, 1);
});

t.test('fail2ban stays and forgets our jails', async (t) => {
  const world = await applied();
  const jail = '/etc/fail2ban/jail.d/holdfast.local';
  const manifest = JSON.parse(world.host.files.text(PATHS.manifest) ?? '');
  manifest.files[jail] = '0'.repeat(64);
  world.host.files.write(PATHS.manifest, Buffer.from(JSON.stringify(manifest)), OWN_FILE);
  world.host.files.write(jail, Buffer.from('[sshd]'), OWN_FILE);
  await remove(world);
  t.equal(world.host.files.text(jail), undefined);
  const { transcript } = world.host.effects;
  const at = (word: string) => transcript.findIndex((line) => line.includes(word));
  t.ok(at('fail2ban-client reload') > at(jail), 'asked to read again once they are gone');
});

t.test('what was kept is used again by the next apply', async (t) => {
  const world = await applied();
  const password = world.text(`${PATHS.secrets}/DB_PASSWORD`);
  await remove(world);
  const outcome = await world.apply(platform());
  t.equal(outcome.result, 'applied');
  t.strictSame(outcome.plan.drift, []);
  t.equal(world.text(`${PATHS.secrets}/DB_PASSWORD`), password);
});

t.test('purge leaves nothing of ours and everything of others', async (t) => {
  const world = await applied();
  await remove(world, { purge: true, images: true });
  t.strictSame(ours(world), []);
  t.notOk(world.host.files.stat(PATHS.state));
  t.equal(world.text('/etc/hosts'), 'theirs');
  t.strictSame(
    world.engine.all().map(({ name }) => name),
    ['theirs'],
  );
  t.strictSame([...world.engine.volumeLabels.keys()], ['other_data']);
});

t.test('an answer of no removes nothing', async (t) => {
  const world = await applied();
  const before = world.host.files.snapshot();
  t.equal(await remove(world, { confirm: async () => false }), undefined);
  t.strictSame(world.host.files.snapshot(), before);
  t.ok(world.containerId('web'));
});

for (const purge of [false, true]) {
  t.test(
    `an uninstall that was killed anywhere ends when it is run again (purge: ${purge})`,
    async (t) => {
      const request = { purge, images: purge };
      const reference = await applied();
      await withAgentSettings(reference);
      reference.host.effects.revive();
      await remove(reference, request);
      const effects = reference.host.effects.count;
      for (let effect = 1; effect <= effects; effect += 1) {
        const world = await applied();
        await withAgentSettings(world);
        world.host.crashAt({ effect, when: 'after' });
        await t.rejects(remove(world, request), { name: 'SimulatedKill' });
        world.host.effects.revive();
        if (world.host.files.stat(PATHS.state) !== undefined) {
          const project = await projectOn(world.host, PATHS);
          t.equal(project, 'demo', `known after effect ${effect}`);
        }
        await remove(world, { ...request, process: processOn(SERVER, { pid: 501 }) });
        t.strictSame(ours(world), ours(reference), `after effect ${effect}`);
        t.strictSame(
          world.engine.all().map(({ name }) => name),
          ['theirs'],
        );
      }
    },
  );
}

t.test('an uninstall that kept the data may be followed by a purge', async (t) => {
  const world = await applied();
  await withAgentSettings(world);
  const run = (...argv: string[]) => runCommand(argv, commandTable, { server: world.context });
  t.match(await run('uninstall', '--yes'), { exitCode: 0, stdout: /its data is kept/ });
  t.match(await run('volumes', 'list'), { exitCode: 0, stdout: /demo_postgres +unused/ });
  const purged = await run('uninstall', '--purge', '--yes');
  t.match(purged, { exitCode: 0, stdout: /gone from this machine/ });
  t.strictSame(ours(world), []);
  t.strictSame([...world.engine.volumeLabels.keys()], ['other_data']);
  t.match(await run('uninstall', '--purge', '--yes'), { stderr: /nothing has been applied/i });
});

t.test('where an earlier version left no record, the config tells the project', async (t) => {
  const world = await applied();
  const config = `version: 1\nproject: shop\ndomain: app.example.com\ncontact: ops@example.com\nservices:\n  web: { image: "a:1", port: 80 }\n`;
  world.host.files.write(PATHS.config, Buffer.from(config), OWN_FILE);
  t.equal(await projectOn(world.host, PATHS), 'shop');
  world.host.files.write(PATHS.config, Buffer.from('nonsense'), OWN_FILE);
  t.equal(await projectOn(world.host, PATHS), undefined);
});
