import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Appliance, type Ran } from '../../support/appliance.ts';
import { builtImage, docker } from '../../support/containers.ts';
import type { LoadTarget } from '../../support/load.ts';

const PROJECT = 'deploytest';
const HOST = 'deploy.example.com';
/** Nobody listens there: the images are on this machine, and a look at the registry ends at once. */
export const REPOSITORY = '127.0.0.1:1/deploytest';

/** Answers with its version. `/die` ends it as a crash does. */
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
  if (request.url === '/die') process.exit(9);
  let bytes = 0;
  request.on('data', (chunk) => { bytes += chunk.length; });
  request.on('end', () => {
    const answer = version + ' ' + require('node:os').hostname() + ' ' + bytes;
    setTimeout(() => response.end(answer), request.url === '/slow' ? 700 : 0);
  });
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
server.listen(3000);
`;

type Kind = 'good' | 'crashing' | 'sick' | 'unmigratable';

export interface LabConfig {
  readonly greeting: string;
  /** MiB of a request's body; another one lets nginx read its files anew. */
  readonly maxBody: number;
  /** How long a release is watched after it has taken over, when not as at the start. */
  readonly watchSeconds?: number;
}

/** One service with two or three replicas behind nginx on the real engine, and images of some releases of it. */
export class DeployLab {
  readonly appliance: Appliance;
  readonly #folder: string;
  readonly #images: readonly string[];
  readonly #watchSeconds: number;

  private constructor(
    folder: string,
    appliance: Appliance,
    images: readonly string[],
    watchSeconds: number,
  ) {
    this.#folder = folder;
    this.appliance = appliance;
    this.#images = images;
    this.#watchSeconds = watchSeconds;
  }

  /**
   * @param releases what each release does, by its number; release 1 is applied
   * @param watchSeconds how long a release is watched after it has taken over
   */
  static async start(
    releases: Readonly<Record<string, Kind>>,
    watchSeconds: number,
  ): Promise<DeployLab> {
    const folder = await mkdtemp(join(tmpdir(), 'holdfast-deploy-'));
    const images: string[] = [];
    for (const [version, kind] of Object.entries(releases)) {
      images.push(await buildImage(join(folder, `image-${version}`), kind, version));
    }
    const appliance = await Appliance.create(join(folder, 'config.yaml'));
    const lab = new DeployLab(folder, appliance, images, watchSeconds);
    await lab.configure({ greeting: 'hello', maxBody: 10 });
    const first = await lab.run('apply');
    if (first.exitCode === 0) return lab;
    await lab.remove();
    throw new Error(`the first apply failed: ${first.stderr}`);
  }

  image(version: string): string {
    return `${REPOSITORY}:${version}`;
  }

  /** Writes the config; `apply` is the caller's. WebSockets have a route of their own: theirs is sticky by address. */
  async configure({ greeting, maxBody, watchSeconds }: LabConfig): Promise<void> {
    await writeFile(
      this.appliance.configPath,
      `
version: 1
project: ${PROJECT}
domain: ${HOST}
contact: ops@example.com
tls: { issuer: selfsigned }
http: { clientMaxBodySize: ${maxBody}m, realIp: cloudflare }
monitoring: { prometheus: { enabled: false }, grafana: { enabled: false } }
updates: { rollback: { within: ${watchSeconds ?? this.#watchSeconds}s } }
services:
  app:
    image: ${this.image('1')}
    port: 3000
    replicas: { min: 2, max: 3 }
    env: { GREETING: ${greeting} }
    migrate: [node, /app.cjs, migrate]
    health: { path: /health, interval: 1s, timeout: 2s }
    routes: [{ path: / }, { path: /live, websocket: true }]
`,
    );
  }

  argv(...argv: string[]): string[] {
    // `scale` asks nobody.
    const yes = argv[0] === 'scale' ? [] : ['--yes'];
    return [...argv, '--config', this.appliance.configPath, ...yes];
  }

  run(...argv: string[]): Promise<Ran> {
    return this.appliance.run(this.argv(...argv));
  }

  /** One line for each container of the service: name, state and image. */
  async containers(): Promise<string[]> {
    const listed = await docker(
      'ps',
      '--all',
      ...['--filter', `label=io.holdfast.project=${PROJECT}`],
      ...['--filter', 'label=io.holdfast.service=app'],
      ...['--format', '{{.Names}} {{.State}} {{.Image}}'],
    );
    return listed.split('\n').filter(Boolean).sort();
  }

  async target(): Promise<LoadTarget> {
    const ca = await readFile(join(this.appliance.paths.tls, 'private-ca/ca.crt'));
    return { address: '127.0.0.1', port: 443, host: HOST, ca };
  }

  /** The answer of one replica: its version, its name and the bytes that it was sent. */
  async ask(path = '/'): Promise<{ readonly status: number; readonly version: string }> {
    const { status, body } = await this.appliance.ask(`https://${HOST}${path}`);
    return { status, version: body.split(' ')[0] ?? '' };
  }

  async remove(): Promise<void> {
    await this.appliance.remove();
    await docker('image', 'rm', '--force', ...this.#images);
    await rm(this.#folder, { recursive: true, force: true });
  }
}

async function buildImage(folder: string, kind: Kind, version: string): Promise<string> {
  await mkdir(folder, { recursive: true });
  await writeFile(join(folder, 'app.cjs'), PROGRAM);
  await writeFile(join(folder, 'kind'), `${kind} ${version}`);
  const dockerfile = `FROM ${await builtImage('node')}\nCOPY app.cjs kind /\nCMD ["node", "/app.cjs"]\n`;
  await writeFile(join(folder, 'Dockerfile'), dockerfile);
  const reference = `${REPOSITORY}:${version}`;
  await docker('build', '--quiet', '--tag', reference, folder);
  return reference;
}
