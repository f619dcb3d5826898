import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { mkdtemp, rename, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { nginx } from '../../installer/components/nginx/component.ts';
import { postgres } from '../../installer/components/postgres/component.ts';
import { prometheus } from '../../installer/components/prometheus/component.ts';
import { redis } from '../../installer/components/redis/component.ts';
import type { Desired } from '../../installer/model/desired.ts';
import { PLATFORM_IMAGES } from '../../installer/model/images.ts';
import { type Paths, pathsUnder } from '../../installer/model/paths.ts';
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
import { routeTo } from './edge.ts';

const CONFIG = `
domain: app.example.com
services: { web: { image: "a:1", port: 3000, metrics: {}, uses: [postgres, redis] } }
monitoring: { prometheus: { scrapeInterval: 1s } }
backups: { jobs: [{ name: daily, source: postgres, cron: "0 2 * * *" }] }
`;

const WEB = `
require('node:http').createServer((request, response) => {
  response.setHeader('content-type', 'text/plain');
  response.end('demo_orders_total 7\\n');
}).listen(3000);
process.on('SIGTERM', () => process.exit());
`;

export interface Sample {
  readonly metric: Readonly<Record<string, string>>;
  readonly value: readonly [number, string];
}

/** Postgres, Redis, nginx, a service, all exporters and Prometheus, as their components make them. */
export class MeasuredStack {
  readonly desired: Desired;
  readonly #stack: TestStack;
  readonly #folder: string;
  readonly #containers: ReadonlyMap<string, string>;
  readonly #address: string;

  private constructor(fields: {
    desired: Desired;
    stack: TestStack;
    folder: string;
    containers: ReadonlyMap<string, string>;
    address: string;
  }) {
    this.desired = fields.desired;
    this.#stack = fields.stack;
    this.#folder = fields.folder;
    this.#containers = fields.containers;
    this.#address = fields.address;
  }

  /** @param agentMetrics what the agent would have written */
  static async start(agentMetrics: string): Promise<MeasuredStack> {
    const folder = await mkdtemp(join(tmpdir(), 'holdfast-measured-'));
    const stack = new TestStack();
    try {
      const desired = await desiredUnder(folder);
      await writeDesired(desired);
      await writeMetrics(folder, agentMetrics);
      const containers = await startAll(stack, folder, desired);
      await provision(desired, containers);
      const address = await addressOf(containers.get('prometheus') ?? '');
      return new MeasuredStack({ desired, stack, folder, containers, address });
    } catch (error) {
      await stack.remove();
      await rm(folder, { recursive: true });
      throw error;
    }
  }

  /** What the agent writes from now on. */
  async setAgentMetrics(text: string): Promise<void> {
    await writeMetrics(this.#folder, text);
  }

  get prometheusAddress(): string {
    return this.#address;
  }

  get paths(): Paths {
    return pathsUnder(this.#folder);
  }

  async stop(): Promise<void> {
    await this.#stack.remove();
    await rm(this.#folder, { recursive: true });
  }

  container(service: string): string {
    return this.#containers.get(service) ?? '';
  }

  async query(expression: string): Promise<Sample[]> {
    const url = new URL(`http://${this.#address}:9090/api/v1/query`);
    url.searchParams.set('query', expression);
    const answer = (await (await fetch(url)).json()) as {
      status: string;
      error?: string;
      data: { resultType: string; result: Sample[] };
    };
    if (answer.status !== 'success') throw new Error(`${expression}: ${answer.error}`);
    return answer.data.result;
  }

  /** Waits until an expression has a result. */
  async until(expression: string): Promise<Sample[]> {
    return waitFor(`data for ${expression}`, async () => {
      const result = await this.query(expression);
      return result.length > 0 ? result : undefined;
    });
  }
}

async function writeMetrics(folder: string, text: string): Promise<void> {
  const file = join(pathsUnder(folder).metrics, 'holdfast.prom');
  // node-exporter never reads a half of it.
  await writeFile(`${file}.new`, text, { mode: 0o644 });
  await rename(`${file}.new`, file);
}

async function desiredUnder(folder: string): Promise<Desired> {
  const names = PLATFORM_IMAGES.filter((name) => name !== 'grafana');
  const references = await Promise.all(
    names.map(async (name) => [name, await builtImage(name)] as const),
  );
  const empty = { authority: undefined, leaves: new Map() };
  const ca = await withCertificates(empty, ['app.example.com'], { now: new Date(), name: 'test' });
  const config = configFrom(CONFIG);
  const { facts } = componentInput(config);
  const input = componentInput(config, {
    facts: { ...facts, systemd: existsSync('/run/systemd/system') },
    paths: pathsUnder(folder),
    images: imagesWith(Object.fromEntries(references)),
    certificates: ca.leaves,
    secret: (name) => new Secret(`secret-of-${name}`),
  });
  const service = contributing({
    routes: [routeTo('web', 3000, {})],
    scrapes: [{ job: 'web', service: 'web', port: 3000, path: '/metrics', replicated: false }],
  });
  return renderWith([service, postgres, redis, nginx, prometheus], input);
}

async function startAll(
  stack: TestStack,
  folder: string,
  desired: Desired,
): Promise<ReadonlyMap<string, string>> {
  const network = await stack.network();
  await writeFile(join(folder, 'web.cjs'), WEB, { mode: 0o644 });
  const script = ['--mount', `type=bind,source=${folder}/web.cjs,target=/web.cjs,readonly`];
  const web = ['--network', network, '--network-alias', 'web', ...script];
  await stack.run(await builtImage('node'), web, ['node', '/web.cjs']);
  const containers = new Map<string, string>();
  for (const [name, service] of Object.entries(desired.stack.services)) {
    containers.set(name, await stack.service(service, network, [name]));
  }
  await Promise.all([...containers.values()].map(waitHealthy));
  return containers;
}

async function provision(desired: Desired, containers: ReadonlyMap<string, string>): Promise<void> {
  for (const { argv, stdin, user, service } of desired.provisions) {
    const container = containers.get(service) ?? '';
    const as = user === undefined ? [] : ['--user', user];
    const child = spawn('docker', ['exec', '-i', ...as, container, ...argv], {
      stdio: ['pipe', 'ignore', 'inherit'],
    });
    child.stdin.end(stdin);
    const [code] = await once(child, 'exit');
    if (code !== 0) throw new Error(`provision ended with ${code}`);
  }
}

/** Bytes of memory of a container without its page cache, as `docker stats` counts them. */
export async function memoryOf(container: string): Promise<number> {
  const text = await docker('stats', '--no-stream', '--format', '{{.MemUsage}}', container);
  const [, number = '0', unit = 'B'] = /^([\d.]+)(B|KiB|MiB|GiB)/.exec(text) ?? [];
  return Number(number) * 1024 ** ['B', 'KiB', 'MiB', 'GiB'].indexOf(unit);
}
