import { type ChildProcess, spawn } from 'node:child_process';
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import t from 'tap';
import type { LockFile } from '../../installer/model/lock-file.ts';
import type { UpdatesResult } from '../../installer/model/updates-result.ts';
import { until } from '../agent/support.ts';
import { Appliance } from '../support/appliance.ts';
import { QUIET_ZONE } from '../support/quiet-zone.ts';
import { docker, outcome } from './support/docker.ts';
import { freePort } from './support/free-port.ts';
import { platformImages } from './support/platform-images.ts';

/** `holdfast update` on the real engine, with the image of a service in a real registry. */

const SERVER = `
const server = require('node:http').createServer((request, response) => {
  response.writeHead(process.env.HEALTHY === 'no' ? 500 : 200).end(process.env.VERSION);
});
server.listen(3000);
process.on('SIGTERM', () => server.close(() => process.exit(0)));
`;
const DOCKERFILE = `ARG NODE
FROM \${NODE}
ARG VERSION
ARG HEALTHY
ENV VERSION=\${VERSION} HEALTHY=\${HEALTHY}
COPY server.cjs /app/server.cjs
USER 1000
CMD ["node", "/app/server.cjs"]
`;

async function startRegistry(folder: string): Promise<{ port: number; registry: ChildProcess }> {
  const port = await freePort();
  mkdirSync(`${folder}/data`, { recursive: true });
  const config = {
    version: 0.1,
    storage: { filesystem: { rootdirectory: `${folder}/data` } },
    http: { addr: `127.0.0.1:${port}` },
  };
  writeFileSync(`${folder}/registry.yml`, JSON.stringify(config));
  const registry = spawn('docker-registry', ['serve', `${folder}/registry.yml`], {
    stdio: 'ignore',
  });
  await until('the registry answers', async () => {
    const answer = await fetch(`http://127.0.0.1:${port}/v2/`).catch(() => undefined);
    return answer?.ok === true;
  });
  return { port, registry };
}

t.test('update', { timeout: 900_000 }, async (t) => {
  const folder = t.testdir({ 'server.cjs': SERVER, Dockerfile: DOCKERFILE });
  const { node } = await platformImages('node');
  const { port, registry } = await startRegistry(folder);
  const image = `127.0.0.1:${port}/acme/web:1`;
  const config = `${folder}/config.yaml`;
  const appliance = await Appliance.create(config);
  const apply = () => appliance.run(['apply', '--config', config, '--yes']);
  const update = (...more: string[]) => appliance.run(['update', '--config', config, ...more]);
  const answer = async () => (await appliance.ask('https://update.example.com/')).body;
  const lockedDigest = (): string | undefined =>
    (JSON.parse(readFileSync(appliance.paths.lock, 'utf8')) as LockFile).services['web']?.digest;
  const pending = () =>
    (
      JSON.parse(
        readFileSync(`${appliance.paths.agent}/results/updates.json`, 'utf8'),
      ) as UpdatesResult
    ).pending.map(({ name }) => name);
  t.teardown(async () => {
    await appliance.remove();
    registry.kill();
    const ids = await outcome([
      'docker',
      'images',
      '--quiet',
      '--no-trunc',
      `127.0.0.1:${port}/acme/web`,
    ]);
    for (const id of new Set(ids.stdout.split('\n').filter((line) => line !== ''))) {
      await outcome(['docker', 'rmi', '--force', id]);
    }
  });

  const publish = async (version: string, healthy: 'yes' | 'no'): Promise<void> => {
    const args = [`NODE=${node}`, `VERSION=${version}`, `HEALTHY=${healthy}`];
    await docker(
      'buildx',
      'build',
      '--load',
      '--tag',
      image,
      ...args.flatMap((arg) => ['--build-arg', arg]),
      folder,
    );
    await docker('push', '--quiet', image);
  };
  // A new release is watched for a moment only: that is tested elsewhere.
  const written = (updates = '') =>
    writeFileSync(
      config,
      `version: 1
project: update-test
timezone: ${QUIET_ZONE}
domain: update.example.com
contact: ops@example.com
tls: { issuer: selfsigned }
services:
  web: { image: "${image}", port: 3000, health: { path: / }, routes: [{ path: / }], resources: { memory: 128m } }
monitoring: { prometheus: { enabled: false }, grafana: { enabled: false } }
updates: { rollback: { within: 1s }${updates} }
`,
    );

  await publish('one', 'yes');
  written();
  const first = await apply();
  t.equal(first.exitCode, 0, first.stderr.slice(-3_000));
  t.equal(await answer(), 'one');
  const digestOfOne = lockedDigest();

  await t.test('nothing is newer: said, and nothing touched', async (t) => {
    let said = await update('--yes');
    // Debian may have published something since the images of the platform were built: then that is taken first.
    if (said.stdout.includes('holdfast/')) said = await update('--yes');
    t.match(said, { exitCode: 0, stdout: /newest that there is/ });
    t.strictSame(pending(), []);
  });

  await publish('two', 'yes');
  await t.test('a moved tag is no change for apply, and news for --check', async (t) => {
    t.match(await apply(), { exitCode: 0, stdout: /Nothing to do/ });
    t.match(await update('--check'), { exitCode: 0, stdout: /web: .*@.* → .*@/ });
    t.strictSame(pending(), ['web']);
    t.match(await update(), { exitCode: 5, stderr: /holdfast update --yes/ });
    t.equal(await answer(), 'one');
  });

  await t.test('update takes it', async (t) => {
    const { exitCode, stderr } = await update('--yes');
    t.equal(exitCode, 0, stderr.slice(-3_000));
    t.equal(await answer(), 'two');
    t.not(lockedDigest(), digestOfOne);
    t.strictSame(pending(), []);
  });

  await publish('three', 'no');
  await t.test('what does not become healthy is taken back to the digest before', async (t) => {
    const digestOfTwo = lockedDigest();
    const { exitCode, stderr } = await update('--yes');
    t.equal(exitCode, 11, stderr.slice(-3_000));
    t.equal(await answer(), 'two');
    t.equal(lockedDigest(), digestOfTwo);
    t.strictSame(pending(), ['web'], 'and it is still known to be there');
    t.match(await appliance.run(['plan', '--config', config]), { exitCode: 0 });
  });

  await t.test('an update is no way around a plan, nor around its window', async (t) => {
    // It was between ten and eleven when the test began.
    written(', window: { from: "20:00", to: "21:00", every: daily }');
    t.match(await update('--yes'), { exitCode: 2, stderr: /edited after the last apply/ });
    await publish('four', 'yes');
    t.match(
      await appliance.run(['update', '--yes']),
      { exitCode: 0 },
      'without a file it goes by what was applied, wherever that came from',
    );
    t.equal(await answer(), 'four');
    t.match(await apply(), { exitCode: 0 });
    await publish('five', 'yes');
    t.match(await update('--yes'), { exitCode: 5, stderr: /holdfast update --now/ });
    t.match(await update('--yes', '--now'), { exitCode: 0 });
    t.equal(await answer(), 'five');
  });
});
