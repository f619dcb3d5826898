import { execFileSync } from 'node:child_process';
import { once } from 'node:events';
import { cpSync, existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';
import {
  GetObjectCommand,
  ListObjectsV2Command,
  PutObjectCommand,
  S3Client,
} from '@aws-sdk/client-s3';
import t from 'tap';
import { LABELS } from '../../installer/model/labels.ts';
import { Appliance } from '../support/appliance.ts';
import { PACKAGE_ROOT } from '../support/component-input.ts';
import { QUIET_ZONE } from '../support/quiet-zone.ts';
import { commandsOf, scriptOf } from '../support/runbook.ts';
import { docker, outcome, start, until } from './support/docker.ts';
import { platformImages } from './support/platform-images.ts';
import { startRadosgw } from './support/radosgw.ts';

/** The worst day: the server is gone, and what is left is a bucket and a key. */

const PROJECT = 'whole-test';
const ORIGIN = 'https://whole.example.com';
const STRAY = `${PROJECT}_of-before`;

const s3 = await startRadosgw(t);
const client = new S3Client({
  region: 'us-east-1',
  endpoint: s3.endpoint,
  forcePathStyle: true,
  credentials: s3,
});
t.teardown(() => client.destroy());

function newKey(name: string): { readonly file: string; readonly recipient: string } {
  const file = join(folder, name);
  execFileSync('age-keygen', ['-o', file], { stdio: 'ignore' });
  return { file, recipient: execFileSync('age-keygen', ['-y', file]).toString().trim() };
}

const folder = t.testdir({ site: { 'index.html': '<p>the front</p>' } });
const mine = newKey('mine.txt');
const other = newKey('other.txt');
const config = join(folder, 'config.yaml');
writeFileSync(
  config,
  `version: 1
project: ${PROJECT}
timezone: ${QUIET_ZONE}
domain: whole.example.com
contact: ops@example.com
tls: { issuer: selfsigned }
monitoring: { prometheus: { enabled: false }, grafana: { enabled: false } }
services:
  web:
    build: { context: ${join(PACKAGE_ROOT, 'examples/demo')} }
    port: 3000
    health: { path: /health }
    migrate: node src/migrate.cjs
    routes: [{ path: / }]
    volumes: [{ name: uploads, mount: /uploads, backup: true }]
    uses: [postgres, redis]
sites: { front: { artifact: ./site, hosts: [front.whole.example.com] } }
postgres: { version: "17", pitr: { enabled: false } }
redis: { purpose: queue, persistence: aof }
storage: { providers: { far: { kind: s3, endpoint: "${s3.endpoint}", secretRef: FAR } } }
backups:
  provider: far
  bucket: ${s3.bucket}
  prefix: acme/prod
  recipients: [${mine.recipient}]
  jobs:
    - { name: daily, source: postgres, cron: "0 2 * * *" }
    - { name: queues, source: redis, cron: "10 2 * * *" }
    - { name: kit, source: appliance, cron: "20 2 * * *" }
`,
);
const keyFiles = ['FAR_ACCESS_KEY_ID', 'FAR_SECRET_ACCESS_KEY'].map((name) => join(folder, name));
[s3.accessKeyId, s3.secretAccessKey].forEach((value, index) => {
  writeFileSync(keyFiles[index] ?? '', `${value}\n`);
});

let appliance = await Appliance.create(config);
t.teardown(() => appliance.remove());

async function ok(...argv: string[]): Promise<string> {
  const { exitCode, stdout, stderr } = await appliance.run(argv);
  if (exitCode !== 0) throw new Error(`${argv.join(' ')} exited ${exitCode}\n${stdout}\n${stderr}`);
  return stdout;
}

/** Until status complains of nothing but the disk of this machine. */
async function isWell(): Promise<void> {
  let left: string[] = [];
  await until('status is well', 60, async () => {
    const { stdout } = await appliance.run(['status', '--json']);
    const { problems } = JSON.parse(stdout) as { problems: string[] };
    left = problems.filter((problem) => !problem.startsWith('the disk'));
    return left.length === 0;
  }).catch((error: unknown) => {
    throw new Error(`status: ${left.join('; ')}`, { cause: error });
  });
}

/** As the page for the bad day has it. */
function restoreArgv(identity: string, ...more: string[]): string[] {
  const [argv = []] = commandsOf('restore', 'The server is gone', {
    's3://acme-backups/acme': `s3://${s3.bucket}/acme`,
    'https://s3.example.com': s3.endpoint,
    'eu-west-3': 'us-east-1',
    'recovery-key.txt': identity,
  });
  return [
    ...argv,
    ...['--access-key-id-file', keyFiles[0] ?? '', '--secret-access-key-file', keyFiles[1] ?? ''],
    ...['--yes', '--take-over', ...more],
  ];
}

async function keys(ending: string): Promise<string[]> {
  const listed = await client.send(new ListObjectsV2Command({ Bucket: s3.bucket }));
  return (listed.Contents ?? []).flatMap(({ Key = '' }) => (Key.endsWith(ending) ? [Key] : []));
}

/** Changes one bit in the middle of an object. */
async function flip(key: string): Promise<void> {
  const object = await client.send(new GetObjectCommand({ Bucket: s3.bucket, Key: key }));
  const content = Buffer.from((await object.Body?.transformToByteArray()) ?? []);
  content[content.length >> 1] = (content[content.length >> 1] ?? 0) ^ 4;
  await client.send(new PutObjectCommand({ Bucket: s3.bucket, Key: key, Body: content }));
}

const secretsOf = ({ paths }: Appliance): Record<string, string> =>
  Object.fromEntries(
    readdirSync(paths.secrets).map((name) => [
      name,
      readFileSync(join(paths.secrets, name), 'utf8'),
    ]),
  );
const authority = ({ paths }: Appliance): string =>
  readFileSync(join(paths.tls, 'private-ca/ca.crt'), 'utf8');

const writerFile = ({ paths }: Appliance): string => join(paths.agent, 'writer-id');

async function uploads(): Promise<string> {
  return await docker('volume', 'inspect', '--format', '{{.Mountpoint}}', `${PROJECT}_uploads`);
}

let before: {
  readonly secrets: Record<string, string>;
  readonly ca: string;
  readonly writerId: string;
};

t.test('a server with data of every kind saves itself', async (t) => {
  mkdirSync(appliance.paths.secrets, { recursive: true, mode: 0o700 });
  for (const file of keyFiles) {
    writeFileSync(
      join(appliance.paths.secrets, file.slice(folder.length + 1)),
      readFileSync(file, 'utf8').trim(),
      { mode: 0o600 },
    );
  }
  await ok('apply', '--config', config, '--yes');
  const note = { method: 'POST', body: 'a note worth keeping' };
  t.equal((await appliance.ask(`${ORIGIN}/notes`, note)).status, 201);
  for (let visit = 0; visit < 3; visit += 1) await appliance.ask(`${ORIGIN}/`);
  writeFileSync(join(await uploads(), 'badge.pdf'), 'a file worth keeping');
  await ok('backup', 'run');
  before = {
    secrets: secretsOf(appliance),
    ca: authority(appliance),
    writerId: readFileSync(writerFile(appliance), 'utf8'),
  };
  t.match(await ok('backup', 'list'), /kit .* verified/);
  await ok('backup', 'verify');

  const careless = restoreArgv(mine.file).filter((word) => word !== '--take-over');
  t.match(await appliance.run(careless), {
    exitCode: 14,
    stderr: /server may still write[\s\S]*--take-over/,
  });
  t.match(await appliance.run(restoreArgv(mine.file)), {
    exitCode: 14,
    stderr: /server is not blank[\s\S]*a config was applied here[\s\S]*--replace/,
  });
  // Nothing was changed.
  await isWell();
});

t.test('the newest of everything is damaged, the server is lost', async (t) => {
  const note = { method: 'POST', body: 'lost with the newest backup' };
  await appliance.ask(`${ORIGIN}/notes`, note);
  await ok('backup', 'run', 'kit', 'daily');
  for (const ending of ['appliance.tar.zst.age', 'db-web.dump.age']) {
    const found = await keys(ending);
    t.equal(found.length, 2);
    await flip(found.at(-1) ?? '');
  }
  await appliance.remove();
  t.equal(await docker('volume', 'ls', '--quiet', '--filter', `name=${PROJECT}`), '');
  appliance = await Appliance.create(config);
});

t.test('another key: says which ones open it, and leaves nothing', async (t) => {
  t.match(await appliance.run(restoreArgv(other.file)), {
    exitCode: 14,
    stderr: new RegExp(`was encrypted to: ${mine.recipient}, age1`),
  });
  t.throws(() => readdirSync(join(appliance.paths.state, 'recovery')), { code: 'ENOENT' });
  t.match(await appliance.run(restoreArgv(mine.file, '--project', 'elsewhere')), {
    exitCode: 14,
    stderr: /no recovery kit of elsewhere/,
  });
});

t.test('a volume of the project from before makes a server not blank', async (t) => {
  await docker('volume', 'create', '--label', `${LABELS.project}=${PROJECT}`, STRAY);
  t.match(await appliance.run(restoreArgv(mine.file)), {
    exitCode: 14,
    stderr: new RegExp(`there is the volume ${STRAY}\n[\\s\\S]*--replace`),
  });
});

t.test('killed on its way, then run again: everything is back', { timeout: 600_000 }, async (t) => {
  const journal = join(appliance.paths.state, 'recovery/journal.json');
  const journalText = (): string => (existsSync(journal) ? readFileSync(journal, 'utf8') : '');
  // Each holds from its moment on: however quick the machine, none of them is missed.
  const moments: Readonly<Record<string, (text: string) => boolean>> = {
    'the backups are chosen': (text) => text !== '',
    'the kit is in its place': (text) => text !== '' && !text.includes('"chosen"'),
    'the databases are back': (text) => /"what": "postgres",\s+"backup"/.test(text),
  };
  for (const [moment, holds] of Object.entries(moments)) {
    const child = appliance.start(restoreArgv(mine.file, '--replace'));
    const ended = once(child, 'exit');
    child.stdout.resume();
    child.stderr.resume();
    await until(moment, 300, async () => {
      if (child.exitCode !== null) throw new Error(`it ended with ${child.exitCode} before`);
      return holds(journalText());
    });
    child.kill('SIGKILL');
    await ended;
  }
  const { exitCode, stdout, stderr } = await appliance.run(
    restoreArgv(mine.file, '--replace', '--json'),
  );
  t.equal(exitCode, 0, stderr);
  t.comment(stdout);
  const answer = JSON.parse(stdout);
  t.match(answer, { version: 1, project: PROJECT, failed: [] });
  t.strictSame(answer.data.map(({ what }: { what: string }) => what).sort(), [
    'postgres',
    'redis',
    'volume uploads',
  ]);
  t.throws(() => readFileSync(journal), { code: 'ENOENT' });
  await docker('volume', 'rm', STRAY);
});

t.test('through the front door, with the old secrets, and looked after', async (t) => {
  const notes = await appliance.ask(`${ORIGIN}/notes`);
  t.match(notes, { status: 200, body: /a note worth keeping/ });
  t.notMatch(notes.body, /lost with the newest/, 'the backup before the damaged one');
  t.match((await appliance.ask(`${ORIGIN}/`)).body, /Redis: <strong>4</, 'the fourth visit');
  t.equal(readFileSync(join(await uploads(), 'badge.pdf'), 'utf8'), 'a file worth keeping');
  t.match(await appliance.ask('https://front.whole.example.com/'), { body: /the front/ });
  t.strictSame(secretsOf(appliance), before.secrets);
  t.equal(authority(appliance), before.ca, 'clients need trust nobody new');
  // The agent runs, everything is saved.
  await isWell();
  t.match(await ok('plan', '--config', config), /Nothing to do|No changes/);
  t.match(await ok('backup', 'list'), /daily .* verified/);
  const drilled = JSON.parse(await ok('backup', 'drill', '--json'));
  t.comment(`drilled in ${drilled.seconds.toFixed(1)} s`);
  const from = /Z-/;
  t.match(drilled.data, [
    { what: 'redis', from },
    { what: 'volume uploads', from },
    { what: 'postgres', from },
  ]);
  const { services } = drilled as { services: { service: string; check: string }[] };
  const web = services.find(({ service }) => service === 'web');
  t.match(web, { check: 'GET :3000/health' }, 'the app is well on the data of the store');
  const label = `label=com.docker.compose.project=${PROJECT}-drill`;
  t.equal(await docker('ps', '--all', '--quiet', '--filter', label), '', 'and is gone');
  t.match((await appliance.ask(`${ORIGIN}/notes`)).body, /a note worth keeping/);
});

/** Its first step is there when the second one fails: nothing around them undoes it. */
const HALF_A_MIGRATION = `
const { Client } = require('pg');
(async () => {
  const client = new Client({ connectionString: process.env.DATABASE_URL });
  await client.connect();
  await client.query('ALTER TABLE note RENAME COLUMN body TO content');
  await client.query('ALTER TABLE note ADD CONSTRAINT short CHECK (length(content) < 3)');
})().catch((error) => {
  console.error(error.message);
  process.exit(1);
});
`;

t.test('a migration that fails half-way, and the way back that is told then', async (t) => {
  const image = '127.0.0.1:1/wholetest:half';
  const web = ['--filter', `label=io.holdfast.project=${PROJECT}`].concat([
    ...['--filter', 'label=io.holdfast.service=web', '--no-trunc'],
    ...['--format', '{{.ID}} {{.Image}} {{.State}}'],
  ]);
  const serving = () => docker('ps', ...web);
  const containers = await serving();
  const release = t.testdir({
    'migrate.cjs': HALF_A_MIGRATION,
    Dockerfile: `FROM ${containers.split(' ')[1]}\nCOPY migrate.cjs src/\n`,
  });
  await docker('build', '--quiet', '--tag', image, release);
  t.teardown(async () => {
    await docker('image', 'rm', '--force', image);
  });

  const failed = await appliance.run(['deploy', 'web', image, '--config', config, '--yes']);
  t.equal(failed.exitCode, 11, failed.stderr);
  t.match(failed.stderr, /migration of web failed[\s\S]*constraint "short"[\s\S]*is violated/);
  t.match(failed.stderr, /what a migration has changed is not undone/);
  const [, wayBack] = /`holdfast (restore \S+)` brings back/.exec(failed.stderr) ?? [];
  t.equal(await serving(), containers, 'the old release serves');
  t.equal((await appliance.ask(`${ORIGIN}/health`)).status, 200);
  t.equal((await appliance.ask(`${ORIGIN}/notes`)).status, 500, 'half of the work was done');

  await ok(...(wayBack ?? '').split(' '), '--yes');
  await until('the notes are back', 60, async () => {
    const { status, body } = await appliance.ask(`${ORIGIN}/notes`);
    return status === 200 && body.includes('a note worth keeping');
  });
  t.equal(await serving(), containers, 'by the release that had served');
  t.match(await ok('plan', '--config', config), /Nothing to do|No changes/);
  await isWell();
});

t.test('the server before it, should it still run somewhere, stores nothing more', async (t) => {
  const ours = readFileSync(writerFile(appliance), 'utf8');
  t.not(ours, before.writerId);
  const stored = await keys('');
  writeFileSync(writerFile(appliance), before.writerId);
  t.match(await appliance.run(['backup', 'run', 'queues']), {
    exitCode: 12,
    stderr: /took over the backups of whole.*\n[\s\S]*backup take-over/,
  });
  t.strictSame(await keys(''), stored);
  await ok('backup', 'take-over', '--yes');
  await ok('backup', 'run', 'queues');
  writeFileSync(writerFile(appliance), ours);
  t.match(await appliance.run(['backup', 'run', 'queues']), { exitCode: 12 });
  await ok('backup', 'take-over', '--yes');
  await ok('backup', 'run', 'queues');
});

t.test('without holdfast, by the commands of the page', async (t) => {
  const script = scriptOf('without-holdfast');
  const postgres = await start(t, [
    ...['--network=none', '--env=POSTGRES_HOST_AUTH_METHOD=trust'],
    (await platformImages('postgres'))['postgres'] ?? '',
  ]);
  await until('Postgres answers', 120, async () => {
    const ready = ['docker', 'exec', postgres, 'pg_isready', '-q', '-h', '127.0.0.1'] as const;
    return (await outcome(ready)).code === 0;
  });
  // The client programs are those of the container, so that the machine needs none.
  const programs = t.testdir({});
  for (const name of ['psql', 'createdb', 'pg_restore']) {
    const text = `#!/bin/sh\nexec docker exec -i --user postgres ${postgres} ${name} "$@"\n`;
    writeFileSync(join(programs, name), text, { mode: 0o755 });
  }
  const PATH = `${programs}:${process.env['PATH']}`;
  const folders: Record<string, string> = {};
  for (const job of ['daily', 'queues', 'kit', 'volume-uploads']) {
    const newest = (await keys('/verified.json')).filter((key) => key.includes(`/${job}/`)).at(-1);
    const objects = (await keys('')).filter((key) => key.startsWith(dirname(newest ?? '?')));
    const place = join(programs, job);
    mkdirSync(place);
    for (const key of objects) {
      const object = await client.send(new GetObjectCommand({ Bucket: s3.bucket, Key: key }));
      const content = (await object.Body?.transformToByteArray()) ?? new Uint8Array();
      writeFileSync(join(place, basename(key)), content);
    }
    cpSync(mine.file, join(place, 'recovery-key.txt'));
    // Roles that exist already are said on the way; everything else ends it.
    execFileSync('bash', ['-euo', 'pipefail', '-c', script], {
      cwd: place,
      env: { ...process.env, PATH },
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    folders[job] = place;
  }
  const note = ['exec', '--user', 'postgres', postgres, 'psql', '-XAt', '-d', 'web'];
  t.equal(await docker(...note, '-c', 'SELECT body FROM note'), 'a note worth keeping');
  const file = join(folders['volume-uploads'] ?? '', 'volume-uploads/badge.pdf');
  t.equal(readFileSync(file, 'utf8'), 'a file worth keeping');
  t.match(
    readFileSync(join(folders['queues'] ?? '', 'dump.rdb'), 'latin1'),
    /^REDIS\d{4}.*visits/s,
  );
  t.equal(
    readFileSync(join(folders['kit'] ?? '', 'kit/applied/config.yaml'), 'utf8'),
    readFileSync(config, 'utf8'),
  );
});
