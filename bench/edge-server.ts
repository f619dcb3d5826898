import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type Machine, startMachine } from '../test/integration/support/machine.ts';
import { buildRelease, moveImage } from '../test/integration/support/releases.ts';
import type { LoadTarget } from '../test/support/load.ts';

/** Its images leave this machine again: they are no test's. */
const REPOSITORY = '127.0.0.1:1/edgebench';
const PROJECT = 'edgebench';
const HOST = 'app.example.com';
const CONFIG = '/etc/holdfast/config.yaml';
const CERTIFICATES = '/var/lib/holdfast/tls/private-ca';

export interface EdgeConfig {
  readonly greeting: string;
  /** MiB of a request's body; another one lets nginx read its files anew. */
  readonly maxBody: number;
}

/** A whole server of its own, as only there nginx itself is replaced behind a stand-in; one service of two or three replicas. */
export class EdgeServer {
  readonly machine: Machine;
  readonly #remove: () => Promise<void>;

  private constructor(machine: Machine, remove: () => Promise<void>) {
    this.machine = machine;
    this.#remove = remove;
  }

  /** @param releases numbers of those that can be deployed; the first is applied */
  static async start(releases: readonly string[]): Promise<EdgeServer> {
    const cleanings: (() => Promise<void>)[] = [];
    const remove = async () => {
      for (const clean of cleanings) await clean();
    };
    try {
      const machine = await startMachine(
        { teardown: (clean) => void cleanings.push(clean) },
        'trixie',
        `holdfast-bench-edge-${process.pid}`,
      );
      const server = new EdgeServer(machine, remove);
      await machine.copyRepository('/root/holdfast');
      await server.ok('/root/holdfast/scripts/install.sh', '--no-apply');
      const folder = await mkdtemp(join(tmpdir(), 'holdfast-bench-edge-'));
      cleanings.push(() => rm(folder, { recursive: true }));
      for (const version of releases) {
        await moveImage(
          machine,
          await buildRelease(join(folder, version), 'good', version, REPOSITORY),
        );
      }
      await server.configure({ greeting: 'hello', maxBody: 10 });
      await server.holdfast('apply');
      return server;
    } catch (error) {
      await remove();
      throw error;
    }
  }

  /** Output of a command on the server; throws when it fails. */
  async ok(...command: string[]): Promise<string> {
    const { code, stdout, stderr } = await this.machine.exec(...command);
    if (code === 0) return stdout;
    throw new Error(`${command.join(' ')} exited ${code}\n${stdout.slice(-3000)}\n${stderr}`);
  }

  /** Runs the program as a person there would. */
  holdfast(...argv: string[]): Promise<string> {
    // `scale` asks nobody.
    return this.ok('holdfast', ...argv, ...(argv[0] === 'scale' ? [] : ['--yes']));
  }

  image(version: string): string {
    return `${REPOSITORY}:${version}`;
  }

  /** Writes the config; `apply` is the caller's. The agent leaves the number of replicas to the bench. */
  async configure({ greeting, maxBody }: EdgeConfig): Promise<void> {
    const text = `
version: 1
project: ${PROJECT}
domain: ${HOST}
contact: ops@example.com
tls: { issuer: selfsigned }
http: { clientMaxBodySize: ${maxBody}m, realIp: cloudflare }
monitoring: { prometheus: { enabled: false }, grafana: { enabled: false } }
updates: { rollback: { within: 1s } }
services:
  app:
    image: ${this.image('1')}
    port: 3000
    replicas: { min: 2, max: 3, scaleUp: { for: 12h }, scaleDown: { for: 12h } }
    env: { GREETING: ${greeting} }
    migrate: [node, /app.cjs, migrate]
    health: { path: /health, interval: 1s, timeout: 2s }
    routes: [{ path: / }, { path: /live, websocket: true }]
`;
    await this.ok('sh', '-c', 'mkdir -p /etc/holdfast && printf %s "$1" >"$2"', 'sh', text, CONFIG);
  }

  /** Takes the certificate away, so that the next apply makes another one and gives it to nginx. */
  async forgetCertificate(): Promise<void> {
    await this.ok('rm', '-r', `${CERTIFICATES}/hosts`);
  }

  /** What a newer package of Debian makes of nginx: another image of the same name, for the next apply to find. */
  async updateNginxImage(label: string): Promise<void> {
    const inspect = ['docker', 'inspect', '--format', '{{.Config.Image}}', `${PROJECT}-nginx-1`];
    const image = (await this.ok(...inspect)).trim();
    const build = 'printf "FROM %s\\nLABEL newer=%s\\n" "$1" "$2" | docker build -q -t "$1" -';
    await this.ok('sh', '-c', build, 'sh', image, label);
  }

  /** Identity of nginx's container, by which one tells that it was replaced. */
  async nginx(): Promise<string> {
    return (await this.ok('docker', 'inspect', '--format', '{{.Id}}', `${PROJECT}-nginx-1`)).trim();
  }

  async target(): Promise<LoadTarget> {
    const ca = await this.ok('cat', `${CERTIFICATES}/ca.crt`);
    return { address: this.machine.address, port: 443, host: HOST, ca };
  }

  remove(): Promise<void> {
    return this.#remove();
  }
}
