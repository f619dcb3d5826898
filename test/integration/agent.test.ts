import { execFileSync } from 'node:child_process';
import { cpSync, mkdirSync, realpathSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import t from 'tap';
import type { AgentStatus } from '../../agent/control/protocol.ts';
import { agent } from '../../installer/components/agent/component.ts';
import { components } from '../../installer/components/registry.ts';
import type { AgentSettings } from '../../installer/model/agent-settings.ts';
import { mergeContributions } from '../../installer/render/merge.ts';
import { renderTemplate } from '../../installer/render/template.ts';
import { configOf, inputOf, PACKAGE_ROOT, packageAssets } from '../support/component-input.ts';
import { docker, until } from './support/docker.ts';
import { startMachine } from './support/machine.ts';

/** The agent as systemd runs it on a Debian server: built, hardened, killed, reloaded. */

/** A release as install.sh makes it, with a program that does what a file tells it. */
function release(folder: string): void {
  const home = join(folder, 'opt/holdfast/current');
  for (const name of ['package.json', 'agent', 'installer', 'scripts']) {
    cpSync(join(PACKAGE_ROOT, name), join(home, name), { recursive: true });
  }
  const node = realpathSync(process.execPath);
  mkdirSync(join(home, 'node_modules/.bin'), { recursive: true });
  cpSync(node, join(home, 'node_modules/.bin/node'));
  execFileSync(node, ['--no-warnings', join(home, 'scripts/dev/build.ts')]);
  writeFileSync(
    join(home, 'dist/installer/cli/main.js'),
    `import { appendFileSync, existsSync } from 'node:fs';
appendFileSync('/var/lib/holdfast/calls', process.argv.slice(2).join(' ') + '\\n');
const look = () => (existsSync('/var/lib/holdfast/go') ? process.exit(0) : setTimeout(look, 50));
look();
`,
  );
}

/** The files of the component, with a job that runs until it is told to end. */
function configuration(folder: string): void {
  const config = configOf('services: { web: { image: acme/web:1, port: 3000 } }');
  const input = inputOf(config, components);
  const collected = mergeContributions(
    components
      .filter((one) => one.enabled(config))
      .map((component) => component.contribute?.(input) ?? {}),
  );
  const assets = packageAssets();
  for (const { path, content } of agent.collect?.(input, collected).files ?? []) {
    const text =
      'text' in content
        ? content.text
        : renderTemplate(assets, content.template, content.data, content.format);
    const whole = path.startsWith('/') ? path : `${input.paths.stack}/${path}`;
    mkdirSync(dirname(join(folder, whole)), { recursive: true });
    writeFileSync(join(folder, whole), text);
  }
  for (const path of [input.paths.metrics, input.paths.secrets]) {
    mkdirSync(join(folder, path), { recursive: true });
  }
}

t.test('the agent under systemd', { timeout: 1_400_000 }, async (t) => {
  const folder = t.testdir({});
  release(folder);
  configuration(folder);
  const machine = await startMachine(t, 'trixie', `holdfast-test-agent-${process.pid}`);
  await docker('cp', `${folder}/opt/.`, `${machine.name}:/opt`);
  await docker('cp', `${folder}/etc/.`, `${machine.name}:/etc`);
  await docker('cp', `${folder}/var/lib/holdfast`, `${machine.name}:/var/lib/`);
  const ok = async (...command: string[]): Promise<string> => {
    const { code, stdout, stderr } = await machine.exec(...command);
    if (code !== 0) throw new Error(`${command.join(' ')} exited ${code}: ${stdout}${stderr}`);
    return stdout.trim();
  };
  const service = (word: string) => ok('sh', '/opt/holdfast/current/agent/service.sh', word);
  const mainPid = () => ok('systemctl', 'show', '--property=MainPID', '--value', 'holdfast-agent');
  // The socket is asked with what is on the machine: perl.
  const ask = async (request: object): Promise<{ status: AgentStatus; started?: boolean }> =>
    JSON.parse(
      await ok(
        'perl',
        '-MIO::Socket::UNIX',
        '-e',
        'my $s = IO::Socket::UNIX->new($ARGV[0]) or die; print $s "$ARGV[1]\\n"; print <$s>',
        '/run/holdfast/agent.sock',
        JSON.stringify(request),
      ),
    );

  await t.test('the unit is accepted without a word, and starts', async (t) => {
    t.equal(await ok('systemd-analyze', 'verify', 'holdfast-agent.service'), '');
    await service('restart');
    t.equal(await ok('systemctl', 'is-enabled', 'holdfast-agent'), 'enabled');
    t.match(
      await ok('stat', '-c', '%a %U', '/run/holdfast', '/run/holdfast/agent.sock'),
      /^700 root\n600 root$/,
    );
    const { status } = await ask({ verb: 'status' });
    t.ok(status.jobs.length >= 2);
    const listening = await ok('ss', '--no-header', '--listening', '--tcp', '--udp', '--processes');
    t.notMatch(listening, new RegExp(`pid=${await mainPid()},`), 'no TCP port, no UDP port');
  });

  await t.test('it stays within 48 MiB', async (t) => {
    const pid = await mainPid();
    await until('free memory has gone back', 90, async () => {
      const kilobytes = Number(await ok('awk', '/^VmRSS/ { print $2 }', `/proc/${pid}/status`));
      return kilobytes <= 48 * 1024;
    });
    const metrics = '/var/lib/holdfast/metrics/holdfast.prom';
    t.match(await ok('cat', metrics), /holdfast_agent_start/);
    t.equal(await ok('stat', '-c', '%a', metrics), '644', 'node-exporter is another user');
  });

  await t.test('a job that runs survives a kill and a restart of the agent', async (t) => {
    t.match(await ask({ verb: 'run', job: 'update-check' }), { ok: true, started: true });
    await until(
      'it runs',
      20,
      async () =>
        (await machine.exec('grep', '-q', '^update', '/var/lib/holdfast/calls')).code === 0,
    );
    const before = await mainPid();
    await ok('kill', '-KILL', before);
    await until('systemd has started another', 30, async () => {
      const now = await mainPid();
      return (
        now !== '0' &&
        now !== before &&
        (await machine.exec('test', '-S', '/run/holdfast/agent.sock')).code === 0
      );
    });
    await service('restart');
    const { status } = await ask({ verb: 'status' });
    t.ok(status.jobs.find(({ id }) => id === 'update-check')?.runningSince, 'found running');
    await ok('touch', '/var/lib/holdfast/go');
    await until('its end is noted', 20, async () =>
      (await ask({ verb: 'status' })).status.history.some(({ job }) => job === 'update-check'),
    );
    // Another job of its own may have come due meanwhile.
    const calls = (await ok('cat', '/var/lib/holdfast/calls')).split('\n');
    t.strictSame(
      calls.filter((call) => call.startsWith('update')),
      ['update --check'],
      'it ran once',
    );
  });

  await t.test('new settings come by a reload, in the same process', async (t) => {
    const file = '/var/lib/holdfast/stack/agent/agent.json';
    const settings = JSON.parse(await ok('cat', file)) as AgentSettings;
    const before = await mainPid();
    writeFileSync(
      `${folder}/new.json`,
      JSON.stringify({ ...settings, jobs: [], timezone: 'Asia/Tokyo' }),
    );
    await docker('cp', `${folder}/new.json`, `${machine.name}:${file}`);
    await service('reload');
    await until('they are taken up', 20, async () => {
      const { status } = await ask({ verb: 'status' });
      return status.timezone === 'Asia/Tokyo' && status.jobs.length === 0;
    });
    t.equal(await mainPid(), before);
  });

  await t.test('a new release is taken up by itself when no job runs', async (t) => {
    const before = await mainPid();
    await ok(
      'sh',
      '-c',
      'cd /opt/holdfast && mv current first && cp -al first second && ln -s second current',
    );
    // systemd names the process before it has become the agent.
    await until('a process of the new release', 60, async () => {
      const commandLine = `tr '\\0' ' ' < /proc/$(systemctl show -P MainPID holdfast-agent)/cmdline`;
      return /second/.test((await machine.exec('sh', '-c', commandLine)).stdout);
    });
    t.not(await mainPid(), before);
  });

  await t.test('it comes back with the machine, and goes when it is taken away', async (t) => {
    await machine.powerCut();
    t.match(await ok('systemctl', 'is-active', 'holdfast-agent'), 'active');
    await service('disable');
    t.equal(
      (await machine.exec('systemctl', 'is-active', 'holdfast-agent')).stdout.trim(),
      'inactive',
    );
  });
});
