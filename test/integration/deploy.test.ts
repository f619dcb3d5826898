import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { Agent, request } from 'node:https';
import { join } from 'node:path';
import t from 'tap';
import { WebSocket } from 'ws';
import { Appliance, type Ran } from '../support/appliance.ts';
import { builtImage, docker } from '../support/containers.ts';

const PROJECT = 'deploytest';
const HOST = 'deploy.example.com';
/** Nobody listens there: the images are on this machine, and a look at the registry ends at once. */
const REPOSITORY = '127.0.0.1:1/deploytest';

const PROGRAM = `
const [kind, version] = require('node:fs').readFileSync('/kind', 'utf8').split(' ');
if (process.argv[2] === 'migrate') {
  if (kind === 'unmigratable') { console.error('column exists already'); process.exit(1); }
  process.exit(0);
}
if (kind === 'crashing') { console.error('cannot find module app'); process.exit(3); }
const { createServer } = require('node:http');
const { createHash } = require('node:crypto');
const server = createServer((request, response) => {
  if (request.url === '/health') return response.writeHead(kind === 'sick' ? 500 : 200).end();
  let bytes = 0;
  request.on('data', (chunk) => { bytes += chunk.length; });
  request.on('end', () => setTimeout(() => response.end(version + ' ' + bytes), request.url === '/slow' ? 700 : 0));
});
const sockets = new Set();
server.on('upgrade', (request, socket) => {
  const key = createHash('sha1').update(request.headers['sec-websocket-key'] + '258EAFA5-E914-47DA-95CA-C5AB0DC85B11').digest('base64');
  socket.write('HTTP/1.1 101 Switching Protocols\\r\\nUpgrade: websocket\\r\\nConnection: Upgrade\\r\\nSec-WebSocket-Accept: ' + key + '\\r\\n\\r\\n');
  sockets.add(socket);
  socket.on('error', () => {}).on('close', () => sockets.delete(socket)).resume();
});
process.on('SIGTERM', () => {
  // A close frame with 1001, "going away", tells a client to connect anew.
  for (const socket of sockets) socket.end(Buffer.from([0x88, 2, 0x03, 0xe9]));
  server.close(() => process.exit(0));
  server.closeIdleConnections();
});
server.listen(3000, () => { if (kind === 'dying') setTimeout(() => process.exit(9), 5000); });
`;

async function image(folder: string, kind: string, version: string): Promise<string> {
  await mkdir(folder, { recursive: true });
  await writeFile(join(folder, 'app.cjs'), PROGRAM);
  await writeFile(join(folder, 'kind'), `${kind} ${version}`);
  const dockerfile = `FROM ${await builtImage('node')}\nCOPY app.cjs kind /\nCMD ["node", "/app.cjs"]\n`;
  await writeFile(join(folder, 'Dockerfile'), dockerfile);
  const reference = `${REPOSITORY}:${version}`;
  await docker('build', '--quiet', '--tag', reference, folder);
  return reference;
}

/** Clients that keep their connections and never ask twice. */
class Load {
  readonly failures = new Map<string, number>();
  readonly versions = new Set<string>();
  requests = 0;
  closedSockets: number[] = [];
  readonly #ca: Buffer;
  #isOn = true;
  readonly #clients: Promise<void>[] = [];

  constructor(ca: Buffer) {
    this.#ca = ca;
    for (const path of ['/', '/', '/a', '/slow']) this.#clients.push(this.#client(path));
    for (let count = 0; count < 2; count += 1)
      this.#clients.push(this.#client('/', 'x'.repeat(5000)));
    for (let count = 0; count < 2; count += 1) this.#clients.push(this.#socket());
  }

  async stop(): Promise<void> {
    this.#isOn = false;
    await Promise.all(this.#clients);
  }

  async #client(path: string, body?: string): Promise<void> {
    const agent = new Agent({ keepAlive: true, maxSockets: 1, ca: this.#ca });
    while (this.#isOn) {
      this.requests += 1;
      try {
        const { status, text } = await this.#ask(agent, path, body);
        if (status === 200) this.versions.add(text.split(' ')[0] ?? '');
        else this.#fail(`${body === undefined ? 'GET' : 'POST'} ${path}: ${status}`);
      } catch (error) {
        this.#fail(`${body === undefined ? 'GET' : 'POST'} ${path}: ${String(error)}`);
      }
    }
    agent.destroy();
  }

  #ask(agent: Agent, path: string, body?: string): Promise<{ status: number; text: string }> {
    return new Promise((resolve, reject) => {
      const sent = request({
        agent,
        host: '127.0.0.1',
        servername: HOST,
        path,
        method: body === undefined ? 'GET' : 'POST',
        headers: { host: HOST },
      });
      sent.on('error', reject).on('response', (response) => {
        let text = '';
        response.on('error', reject).on('data', (chunk: Buffer) => (text += chunk));
        response.on('end', () => resolve({ status: response.statusCode ?? 0, text }));
      });
      sent.end(body);
    });
  }

  async #socket(): Promise<void> {
    while (this.#isOn) {
      const options = { ca: this.#ca, servername: HOST, headers: { host: HOST } };
      const socket = new WebSocket('wss://127.0.0.1/live', options);
      this.requests += 1;
      await new Promise<void>((resolve) => {
        const poll = setInterval(() => {
          if (!this.#isOn) socket.terminate();
        }, 200);
        socket.on('error', (error) => {
          if (this.#isOn) this.#fail(`WebSocket: ${error.message}`);
        });
        socket.on('close', (code) => {
          clearInterval(poll);
          if (this.#isOn) this.closedSockets.push(code);
          resolve();
        });
      });
    }
  }

  #fail(cause: string): void {
    this.failures.set(cause, (this.failures.get(cause) ?? 0) + 1);
  }
}

async function containers(): Promise<string[]> {
  const listed = await docker(
    'ps',
    '--all',
    '--filter',
    `label=io.holdfast.project=${PROJECT}`,
    '--filter',
    'label=io.holdfast.service=app',
    '--format',
    '{{.Names}} {{.State}} {{.Image}}',
  );
  return listed.split('\n').filter(Boolean).sort();
}

t.test('deploys, rollbacks and failures under load lose no request', async (t) => {
  const folder = t.testdir({});
  const images = new Map<string, string>();
  for (const [kind, version] of [
    ['good', '1'],
    ['good', '2'],
    ['good', '3'],
    ['crashing', '4'],
    ['sick', '5'],
    ['unmigratable', '6'],
    ['dying', '7'],
  ] as const) {
    images.set(version, await image(join(folder, `image-${version}`), kind, version));
  }
  t.teardown(() => docker('image', 'rm', '--force', ...images.values()));
  const config = join(folder, 'config.yaml');
  const text = (greeting: string) => `
version: 1
project: ${PROJECT}
domain: ${HOST}
contact: ops@example.com
tls: { issuer: selfsigned }
monitoring: { prometheus: { enabled: false }, grafana: { enabled: false } }
updates: { rollback: { within: 6s } }
services:
  app:
    image: ${images.get('1')}
    port: 3000
    replicas: 2
    env: { GREETING: ${greeting} }
    migrate: [node, /app.cjs, migrate]
    health: { path: /health, interval: 1s, timeout: 2s }
    routes: [{ path: /, websocket: true }]
`;
  await writeFile(config, text('hello'));
  const appliance = await Appliance.create(config);
  t.teardown(() => appliance.remove());
  const run = (...argv: string[]): Promise<Ran> =>
    appliance.run([...argv, '--config', config, '--yes']);
  const first = await run('apply');
  t.equal(first.exitCode, 0, first.stderr);
  t.match(await containers(), [/app_a-1 running .*:1$/, /app_a-2 running .*:1$/]);

  const load = new Load(await readFile(join(appliance.paths.tls, 'private-ca/ca.crt')));
  const tag = (version: string) => images.get(version) ?? '';
  try {
    const second = await run('deploy', 'app', tag('2'));
    t.equal(second.exitCode, 0, second.stderr + second.stdout);
    t.match(await containers(), [
      /a-1 exited .*:1$/,
      /a-2 exited/,
      /b-1 running .*:2$/,
      /b-2 running/,
    ]);

    const back = await run('rollback', 'app');
    t.equal(back.exitCode, 0, back.stderr);
    t.match(await containers(), [/a-1 running .*:1$/, /a-2 running/, /b-1 exited/, /b-2 exited/]);

    const bad: readonly (readonly [string, RegExp])[] = [
      ['4', /did not become healthy[\s\S]*cannot find module app/],
      ['6', /migration of app failed[\s\S]*column exists already/],
    ];
    for (const [version, message] of bad) {
      const failed = await run('deploy', 'app', tag(version));
      t.equal(failed.exitCode, 11, `${version}: ${failed.stderr}`);
      t.match(failed.stderr, message, version);
      t.match(
        (await containers()).filter((line) => line.includes(' running ')),
        [/-1 running .*:1$/, /-2 running .*:1$/],
        `release 1 serves after ${version}`,
      );
    }
    const missing = await run('deploy', 'app', `${REPOSITORY}:99`);
    t.not(missing.exitCode, 0);
    t.match(missing.stderr, /99/);

    await writeFile(config, text('good day'));
    t.match((await run('deploy', 'app', tag('3'))).stderr, /edited after the last apply/);
    const changed = await run('apply');
    t.equal(changed.exitCode, 0, changed.stderr);
    const third = await run('deploy', 'app', tag('3'));
    t.equal(third.exitCode, 0, third.stderr);
    t.match((await appliance.run(['plan', '--config', config])).stdout, /as deployed/);
  } finally {
    await load.stop();
  }
  t.comment(`${load.requests} requests, WebSockets closed with ${load.closedSockets.join(' ')}`);
  t.ok(load.requests > 1000, `${load.requests} requests`);
  for (const version of ['1', '2', '3'])
    t.ok(load.versions.has(version), `release ${version} answered`);
  t.strictSame(Object.fromEntries(load.failures), {}, 'no request failed');
  t.ok(load.closedSockets.length > 0);
  t.ok(
    load.closedSockets.every((code) => code === 1001),
    'WebSockets are told to come again',
  );

  // Without clients: what a release that dies had accepted is lost with it.
  const dying = await run('deploy', 'app', tag('7'));
  t.equal(dying.exitCode, 11, dying.stderr);
  t.match(dying.stderr, /died within 6 s after it had taken over/);
  t.match(
    (await containers()).filter((line) => line.includes(' running ')),
    [/:3$/, /:3$/],
  );
});
