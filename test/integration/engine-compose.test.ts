import { randomBytes } from 'node:crypto';
import { posix } from 'node:path';
import t, { type Test } from 'tap';
import { composeRunOnce, composeUp } from '../../installer/engine/compose.ts';
import { DockerEngine } from '../../installer/engine/docker.ts';
import { LocalHost } from '../../installer/host/local.ts';
import { type ComposeUnderTest, composeSuite } from '../contract/compose-suite.ts';
import { testImage } from '../support/test-image.ts';

const host = new LocalHost();
const engine = new DockerEngine();
t.teardown(() => engine.close());

async function begin(t: Test): Promise<ComposeUnderTest> {
  const name = `holdfast-test-${randomBytes(5).toString('hex')}`;
  const project = { project: name, directory: t.testdir({}), secrets: false };
  t.teardown(() => removeAllOf(name));
  return { host, engine, project, image: await testImage(t) };
}

t.test('the docker compose command of this machine', async (t) => composeSuite(t, begin));

t.test('an .env file beside the compose file changes nothing', async (t) => {
  const { project, image } = await begin(t);
  const file = { mode: 0o644, uid: 0, gid: 0 };
  const labels = '{io.holdfast.test: "1", mark: "${WHO:-nobody}"}';
  const text = `services: {a: {image: "${image}", command: [sleep, "600"], labels: ${labels}}}\n`;
  await host.write(posix.join(project.directory, 'compose.yaml'), text, file);
  await host.write(posix.join(project.directory, '.env'), 'WHO=somebody\n', file);
  await host.run(composeUp(project, [{ service: 'a' }], { recreate: false }));
  const [container] = await engine.containers({ 'com.docker.compose.project': project.project });
  t.equal(container?.labels['mark'], 'nobody');
});

t.test(
  'a program runs once beside its service, with its own exit code, and leaves nothing',
  async (t) => {
    const { project, image } = await begin(t);
    const labels = { 'com.docker.compose.project': project.project };
    const text = `services: {a: {image: "${image}", command: [sleep, "600"], init: true, labels: {io.holdfast.test: "1"}}}\n`;
    const path = posix.join(project.directory, 'compose.yaml');
    await host.write(path, text, { mode: 0o644, uid: 0, gid: 0 });
    await host.run(composeUp(project, [{ service: 'a' }], { recreate: false }));
    const before = await engine.containers(labels);
    const script = 'echo "$1"; echo broken >&2; exit 9';
    await t.rejects(
      host.run(composeRunOnce(project, 'a', ['sh', '-c', script, 'sh', "it's $HOME"])),
      {
        name: 'CommandError',
        exitCode: 9,
        stdout: "it's $HOME\n",
        stderr: /broken/,
      },
    );
    t.strictSame(await engine.containers(labels), before);
  },
);

/** By id and name, whatever state the test left them in. */
async function removeAllOf(project: string): Promise<void> {
  const labels = { 'com.docker.compose.project': project };
  const containers = await engine.containers(labels);
  const networks = await engine.networks(labels);
  const volumes = await engine.volumes(labels);
  const remove = async (kind: string, names: readonly string[], ...flags: string[]) => {
    if (names.length > 0) await host.run({ argv: ['docker', kind, 'rm', ...flags, ...names] });
  };
  await remove(
    'container',
    containers.map(({ id }) => id),
    '--force',
  );
  await remove(
    'network',
    networks.map(({ name }) => name),
  );
  await remove(
    'volume',
    volumes.map(({ name }) => name),
  );
}
