import { createHash } from 'node:crypto';
import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import t from 'tap';
import { withCertificates } from '../../installer/tls/private-ca.ts';
import { Appliance } from '../support/appliance.ts';
import { docker } from '../support/containers.ts';
import { QUIET_ZONE } from '../support/quiet-zone.ts';
import { buildRelease, REPOSITORY } from './support/releases.ts';

const PROJECT = 'alonetest';
const HOST = 'alone.example.com';

const folder = await mkdtemp(join(tmpdir(), 'holdfast-alone-'));
const server = await Appliance.create(join(folder, 'config.yaml'));
const images: string[] = [];
t.teardown(async () => {
  await server.remove();
  await docker('image', 'rm', '--force', ...images);
  await rm(folder, { recursive: true, force: true });
});

/** Whoever edits the sources of the worker and of the site does it in this one folder. */
async function writeSources(version: string): Promise<void> {
  await buildRelease(join(folder, 'worker'), 'good', version, `${REPOSITORY}-sources`);
  await mkdir(join(folder, 'site'), { recursive: true });
  await writeFile(join(folder, 'site/index.html'), `site ${version}`);
}

for (const version of ['1', '2', '3']) {
  images.push(await buildRelease(join(folder, `image-${version}`), 'good', version));
}
images.push(`${REPOSITORY}-sources:first`, `${REPOSITORY}-sources:half-done`);
await writeSources('first');
await writeFile(
  server.configPath,
  `
version: 1
project: ${PROJECT}
timezone: ${QUIET_ZONE}
domain: ${HOST}
contact: ops@example.com
tls: { issuer: files, files: { certificate: ./tls.crt, key: ./tls.key } }
monitoring: { prometheus: { enabled: false }, grafana: { enabled: false } }
updates: { rollback: { within: 1s } }
services:
  app:
    image: ${REPOSITORY}:1
    port: 3000
    replicas: { min: 1, max: 2 }
    secrets: [TOKEN]
    health: { path: /health, interval: 1s, timeout: 2s }
    routes: [{ path: /app/ }]
  worker:
    build: { context: ./worker }
    port: 3000
    secrets: [TOKEN]
    health: { path: /health, interval: 1s, timeout: 2s }
    routes: [{ path: /worker/ }]
sites:
  web: { artifact: ./site, hosts: [${HOST}] }
`,
);

const { authority, leaves } = await withCertificates(
  { authority: undefined, leaves: new Map() },
  [HOST],
  { now: new Date(), name: PROJECT },
);
// Clients of the test trust what stands there.
await mkdir(join(server.paths.tls, 'private-ca'), { recursive: true });
await writeFile(join(server.paths.tls, 'private-ca/ca.crt'), authority?.certificate ?? '');

const given = ['tls.crt', 'tls.key'].map((name) => join(folder, name));
async function giveCertificate(): Promise<void> {
  const pair = leaves.get(HOST);
  for (const [index, text] of [pair?.certificate, pair?.key.reveal()].entries()) {
    await writeFile(given[index] ?? '', text ?? '');
  }
}
await giveCertificate();

const run = (...argv: string[]) =>
  server.run([...argv, '--config', server.configPath, ...(argv[0] === 'scale' ? [] : ['--yes'])]);
const setToken = (value: string) =>
  server.run(['secrets', 'set', 'TOKEN', '--config', server.configPath], `${value}\n`);
const ask = async (path: string) => (await server.ask(`https://${HOST}${path}`)).body;
const version = async (service: string) => (await ask(`/${service}/`)).split(' ')[0];
const plan = async (): Promise<{ readonly exitCode: number; readonly stdout: string }> =>
  server.run(['plan', '--config', server.configPath]);

/** Name, id and image of everything that does not belong to the service. */
async function others(service: string): Promise<string[]> {
  const listed = await docker(
    'ps',
    ...['--no-trunc', '--filter', `label=io.holdfast.project=${PROJECT}`],
    ...['--format', '{{.Names}} {{.ID}} {{.Image}}'],
  );
  return listed
    .split('\n')
    .filter((line) => line !== '' && !line.includes(`-${service}_`))
    .sort();
}

t.test(
  'a change of one service leaves what others have begun alone, and is not held up',
  async (t) => {
    t.match(await setToken('first value'), { exitCode: 0 });
    const first = await run('apply');
    t.equal(first.exitCode, 0, first.stderr);
    t.equal(await ask('/'), 'site first');
    const before = await others('app');
    const secrets = await readFile(join(server.paths.stack, 'compose.secrets.yaml'), 'utf8');

    await writeSources('half-done');
    t.match(await setToken('second value'), { exitCode: 0 });
    t.match((await plan()).stdout, /worker/, 'an apply would bring all of it');
    // As the program that renews them may do between two applies.
    for (const file of given) await rm(file);

    for (const [argv, serves] of [
      [['deploy', 'app', `${REPOSITORY}:2`], '2'],
      [['scale', 'app', '2'], '2'],
      [['deploy', 'app', `${REPOSITORY}:3`], '3'],
      [['rollback', 'app'], '2'],
      [['rollback', 'app'], '1'],
      [['rollback', 'app', '3'], '3'],
      [['deploy', 'app', `${REPOSITORY}:1`], '1'],
      [['scale', 'app', '1'], '1'],
    ] as const) {
      const ran = await run(...argv);
      t.equal(ran.exitCode, 0, `${argv.join(' ')}: ${ran.stderr}`);
      t.equal(await version('app'), serves, argv.join(' '));
    }
    t.strictSame(await others('app'), before, 'no other container was touched');
    t.equal(await version('worker'), 'first');
    t.equal(await ask('/'), 'site first');
    t.equal(
      await readFile(join(server.paths.stack, 'compose.secrets.yaml'), 'utf8'),
      secrets,
      'the secret waits',
    );
    const listed = await server.run(['rollback', 'app', '--list']);
    t.match(listed.stdout, /deploytest:1 \(serves\)\n.*deploytest:3\n/);

    await giveCertificate();
    const whole = await run('apply');
    t.equal(whole.exitCode, 0, whole.stderr);
    t.equal(await version('worker'), 'half-done');
    t.equal(await ask('/'), 'site half-done');
    t.match(
      await readFile(join(server.paths.stack, 'compose.secrets.yaml'), 'utf8'),
      'second value',
    );
    t.equal((await plan()).exitCode, 0, 'and nothing is left');
  },
);

t.test('what another version of holdfast would change is named and refused', async (t) => {
  const conf = join(server.paths.stack, 'nginx/nginx.conf');
  const text = await readFile(conf, 'utf8');
  const before = await others('none');
  const older = text.replace(/\n/, '\n# of another version\n');
  await writeFile(conf, older);
  const { manifest } = server.paths;
  const written = JSON.parse(await readFile(manifest, 'utf8'));

  written.files[conf] = createHash('sha256').update(older).digest('hex');
  await writeFile(manifest, JSON.stringify(written));
  for (const argv of [
    ['deploy', 'app', `${REPOSITORY}:2`],
    ['rollback', 'app'],
    ['scale', 'app', '2'],
  ] as const) {
    const refused = await run(...argv);
    t.not(refused.exitCode, 0, argv.join(' '));
    t.match(refused.stderr, /config\/not-applied/, argv.join(' '));
    t.match(refused.stderr, /write-file:\S*nginx\.conf[\s\S]*holdfast apply/, argv.join(' '));
  }
  t.strictSame(await others('none'), before);
});
