import { mkdtemp, readFile, rename, rm, writeFile } from 'node:fs/promises';
import { type IncomingHttpHeaders, type IncomingMessage, request as plainRequest } from 'node:http';
import { type Agent, request as tlsRequest } from 'node:https';
import { connect as connectPlain } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { connect as connectTls } from 'node:tls';
import type { ComponentInput } from '../../installer/components/component.ts';
import { edgeCache } from '../../installer/components/edge-cache/component.ts';
import { nginx } from '../../installer/components/nginx/component.ts';
import { edgeFolders } from '../../installer/components/nginx/places.ts';
import { redis } from '../../installer/components/redis/component.ts';
import { sites } from '../../installer/components/sites/component.ts';
import { edgeStatePath, readEdgeState } from '../../installer/engine/edge-state.ts';
import { LocalHost } from '../../installer/host/local.ts';
import type { Route } from '../../installer/model/contribution.ts';
import type { Desired } from '../../installer/model/desired.ts';
import { type EdgeState, edgeStateText } from '../../installer/model/edge-state.ts';
import type { EdgeStatus } from '../../installer/model/edge-status.ts';
import { pathsUnder } from '../../installer/model/paths.ts';
import { Secret } from '../../installer/model/secret.ts';
import { withCertificates } from '../../installer/tls/private-ca.ts';
import {
  componentInput,
  configFrom,
  contributing,
  imagesWith,
  renderWith,
} from './component-render.ts';
import {
  addressOf,
  builtImage,
  docker,
  TestStack,
  waitFor,
  waitHealthy,
  writeDesired,
} from './containers.ts';

/** A service that answers with what it was asked, and echoes bytes after an upgrade. */
const ECHO = `
const server = require('node:http').createServer((request, response) => {
  const chunks = [];
  request.on('data', (chunk) => chunks.push(chunk)).on('end', () => {
    const { method, url, headers } = request;
    if (headers['x-drop']) return console.log('dropped'), request.socket.destroy();
    const answer = { service: process.argv[2], replica: process.argv[4], method, url, headers, body: Buffer.concat(chunks).length, port: request.socket.remotePort };
    for (const [name, value] of Object.entries(JSON.parse(headers['x-answer'] || '{}'))) response.setHeader(name, value);
    response.setHeader('content-type', 'application/json');
    response.statusCode = Number(headers['x-status'] || 200);
    setTimeout(() => response.end(JSON.stringify(answer).padEnd(Number(headers['x-length'] || 0))), Number(headers['x-delay'] || 0));
  });
});
server.on('upgrade', (request, socket) => {
  socket.write('HTTP/1.1 101 Switching Protocols\\r\\nUpgrade: websocket\\r\\nConnection: Upgrade\\r\\n\\r\\n');
  socket.pipe(socket);
});
server.listen(Number(process.argv[3]));
process.on('SIGTERM', () => process.exit());
`;

export interface Answer {
  readonly status: number;
  readonly headers: IncomingHttpHeaders;
  readonly body: string;
}

export interface Question {
  readonly host?: string;
  readonly method?: string;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: string | Buffer;
  readonly plain?: boolean;
  /** Keeps connections; without one, each request has its own. Not for `plain`. */
  readonly agent?: Agent;
  readonly maxVersion?: 'TLSv1.2' | 'TLSv1.3';
}

export function routeTo(service: string, port: number, more: Partial<Route>): Route {
  return {
    host: 'app.example.com',
    path: '/',
    service,
    port,
    strip: false,
    websocket: false,
    rawBody: false,
    allowFrom: [],
    ...more,
  };
}

/** nginx as an apply makes it, before echo services, on a network of its own. */
export class TestEdge {
  readonly stack = new TestStack();
  readonly folder: string;
  readonly address: string;
  readonly container: string;
  readonly authority: string;
  readonly replicaIds: ReadonlyMap<string, string>;
  /** Container of Redis, where the config needs one. */
  readonly redis: string | undefined;

  private constructor(fields: { folder: string; stack: TestStack } & Started) {
    this.folder = fields.folder;
    this.stack = fields.stack;
    this.address = fields.address;
    this.container = fields.container;
    this.authority = fields.authority;
    this.replicaIds = fields.replicaIds;
    this.redis = fields.redis;
  }

  static async start(
    configText: string,
    routes: readonly Route[],
    secrets: Readonly<Record<string, string>> = {},
    apps: Apps = {},
  ): Promise<TestEdge> {
    const folder = await mkdtemp(join(tmpdir(), 'holdfast-edge-'));
    const stack = new TestStack();
    try {
      const started = await start(stack, folder, configText, routes, secrets, apps);
      return new TestEdge({ folder, stack, ...started });
    } catch (error) {
      await stack.remove();
      await rm(folder, { recursive: true });
      throw error;
    }
  }

  async stop(): Promise<void> {
    await this.stack.remove();
    await rm(this.folder, { recursive: true });
  }

  ask(path: string, question: Question = {}): Promise<Answer> {
    const { host = 'app.example.com', plain = false } = question;
    const request = plain ? plainRequest : tlsRequest;
    return new Promise((resolve, reject) => {
      const sent = request({
        host: this.address,
        port: plain ? 8080 : 8443,
        path,
        servername: host,
        ca: this.authority,
        agent: question.agent ?? false,
        method: question.method ?? 'GET',
        maxVersion: question.maxVersion ?? 'TLSv1.3',
        headers: { host, ...question.headers },
      });
      sent.on('error', reject).on('response', (response) => {
        response.on('error', reject);
        answerOf(response, resolve);
      });
      sent.end(question.body);
    });
  }

  /** As a client with this address asks whom the relay hands on; `door` is where it knocks. */
  async askOverIpv6(
    client: string,
    path: string,
    { headers = {}, door = 8453 }: { headers?: Question['headers']; door?: number } = {},
  ): Promise<Answer> {
    const host = 'app.example.com';
    const plain = connectPlain(door, this.address);
    plain.write(`PROXY TCP6 ${client} 2001:db8::1 40000 443\r\n`);
    const socket = connectTls({ socket: plain, servername: host, ca: this.authority });
    return new Promise((resolve, reject) => {
      plain.once('error', reject);
      const sent = tlsRequest({
        path,
        createConnection: () => socket,
        headers: { host, ...headers },
      });
      sent.once('error', reject).once('response', (response) => {
        response.once('error', reject);
        answerOf(response, resolve);
      });
      sent.end();
    });
  }

  /** Changes the state file, and waits until nginx follows it. */
  async route(change: (state: EdgeState) => EdgeState): Promise<void> {
    const paths = pathsUnder(this.folder);
    const before = await readEdgeState({ host: new LocalHost(), paths });
    const generation = before.generation + 1;
    await writeState(this.folder, { ...change(before), generation });
    await waitFor('nginx following the state', async () =>
      (await this.status()).generation === generation ? true : undefined,
    );
  }

  /** What the internal port says of the replicas. */
  async status(): Promise<EdgeStatus> {
    return (await fetch(`http://${this.address}:8081/replicas`)).json() as Promise<EdgeStatus>;
  }

  get accessLogPath(): string {
    return join(edgeFolders(pathsUnder(this.folder)).logs, 'access.json');
  }

  /** Its whole lines: nginx may be at writing another one. */
  async accessLog(): Promise<string> {
    const text = await readFile(this.accessLogPath, 'utf8');
    return text.slice(0, text.lastIndexOf('\n') + 1);
  }
}

function answerOf(response: IncomingMessage, resolve: (answer: Answer) => void): void {
  const { statusCode: status = 0, headers } = response;
  const chunks: Buffer[] = [];
  response
    .on('data', (chunk: Buffer) => chunks.push(chunk))
    .on('end', () => resolve({ status, headers, body: Buffer.concat(chunks).toString() }));
}

/** Another program in place of the echo, further options of `docker create` for a service, and a machine with IPv6. */
export interface Apps {
  /** nginx believes this machine as it believes the relay: see {@link TestEdge.askOverIpv6}. */
  readonly relayed?: boolean;
  readonly program?: string;
  readonly options?: (service: string) => readonly string[];
}

interface Started {
  readonly address: string;
  readonly container: string;
  readonly authority: string;
  /** Container ids of the echo services, by the name that compose would give them. */
  readonly replicaIds: ReadonlyMap<string, string>;
  readonly redis: string | undefined;
}

async function start(
  stack: TestStack,
  folder: string,
  configText: string,
  routes: readonly Route[],
  secrets: Readonly<Record<string, string>>,
  { program = ECHO, options: more = () => [], relayed = false }: Apps,
): Promise<Started> {
  const network = await stack.network();
  const facts = relayed ? await relayFacts(network) : {};
  const { desired, authority } = await edgeDesired(folder, configText, routes, secrets, facts);
  await writeDesired(desired);
  const replicaIds = new Map<string, string>();
  await writeFile(join(folder, 'echo.cjs'), program, { mode: 0o644 });
  const config = configFrom(configText);
  const services = new Map(routes.map(({ service, port }) => [service, port]));
  const mount = ['--mount', `type=bind,source=${folder}/echo.cjs,target=/echo.cjs,readonly`];
  for (const [service, port] of services) {
    if (service === 'missing') continue;
    const replicas = config.services[service]?.replicas.min ?? 1;
    for (let index = 1; index <= replicas; index += 1) {
      const name = `${config.project}-${service}-${index}`;
      const aliases = ['--network-alias', service, '--network-alias', name];
      const options = ['--network', network, ...aliases, ...mount, ...more(service)];
      const command = ['node', '/echo.cjs', service, String(port), name];
      replicaIds.set(name, await stack.run(await builtImage('node'), options, command));
    }
  }
  await writeState(folder, stateOf(routes, [...replicaIds]));
  const service = desired.stack.services['nginx'];
  if (service === undefined) throw new Error('no nginx in the stack');
  const counters = desired.stack.services['redis'];
  const redisId = counters && (await stack.service(counters, network, ['redis']));
  if (redisId !== undefined) await waitHealthy(redisId);
  const container = await stack.service(service, network, ['nginx']);
  await waitHealthy(container);
  const address = await addressOf(container);
  return { address, container, authority, replicaIds, redis: redisId };
}

/** The engine's address on the network of the test stands for the host's. */
async function relayFacts(network: string): Promise<{ readonly relaySubnet: string }> {
  const format = '{{(index .IPAM.Config 0).Subnet}}';
  return { relaySubnet: await docker('network', 'inspect', '--format', format, network) };
}

/** Services with one replica are left out: those are found by their name. */
function stateOf(
  routes: readonly Route[],
  containers: readonly (readonly [string, string])[],
): EdgeState {
  const services = routes.flatMap(({ service, port }) => {
    const replicas = containers
      .filter(([name]) => name.includes(`-${service}-`))
      .map(([container, id]) => ({ container, id, state: 'up' as const }));
    return replicas.length > 1 ? [[service, { slot: 'a' as const, port, replicas }] as const] : [];
  });
  return { version: 1, generation: 1, services: Object.fromEntries(services) };
}

async function writeState(folder: string, state: EdgeState): Promise<void> {
  const path = edgeStatePath(pathsUnder(folder));
  await writeFile(`${path}.new`, edgeStateText(state), { mode: 0o644 });
  await rename(`${path}.new`, path);
}

/** What an apply would write for nginx, with real certificates. */
export async function edgeDesired(
  folder: string,
  configText: string,
  routes: readonly Route[],
  secrets: Readonly<Record<string, string>> = {},
  { relaySubnet }: { readonly relaySubnet?: string } = {},
): Promise<{ readonly desired: Desired; readonly authority: string }> {
  const config = configFrom(configText);
  const hosts = [
    config.domain,
    ...routes.map(({ host }) => host),
    ...Object.values(config.sites).flatMap(({ hosts: names }) => names),
    ...config.edgeCache.map(({ host }) => host),
  ];
  const empty = { authority: undefined, leaves: new Map() };
  const ca = await withCertificates(empty, [...new Set(hosts)], { now: new Date(), name: 'test' });
  const plain = componentInput(config);
  const input: ComponentInput = {
    ...plain,
    ...(relaySubnet === undefined ? {} : { relaySubnet }),
    facts: { ...plain.facts, ipv6: relaySubnet !== undefined },
    paths: pathsUnder(folder),
    images: imagesWith({
      nginx: await builtImage('nginx'),
      'nginx-waf': await builtImage('nginx-waf'),
      redis: await builtImage('redis'),
    }),
    certificates: ca.leaves,
    secret: (name) => new Secret(secrets[name] ?? ''),
  };
  const servers = config.redis === undefined ? [nginx] : [redis, nginx];
  const desired = renderWith([contributing({ routes }), sites, ...servers, edgeCache], input);
  return { desired, authority: ca.authority?.certificate ?? '' };
}
