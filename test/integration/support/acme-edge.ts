/** nginx as an apply leaves it, on a root of its own, with what `certificates renew` works by. */
import { X509Certificate } from 'node:crypto';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { request } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { PassThrough } from 'node:stream';
import { connect } from 'node:tls';
import { bringCertificates } from '../../../installer/cli/bring-certificates.ts';
import { type RenewOutcome, renewOnServer } from '../../../installer/cli/certificates.ts';
import type { CliContext, Server } from '../../../installer/cli/context.ts';
import { agent } from '../../../installer/components/agent/component.ts';
import { edgeCache } from '../../../installer/components/edge-cache/component.ts';
import { nginx } from '../../../installer/components/nginx/component.ts';
import { tls } from '../../../installer/components/tls/component.ts';
import { DockerEngine } from '../../../installer/engine/docker.ts';
import { LocalHost } from '../../../installer/host/local.ts';
import type {
  AcmeSettings,
  CertificateSettings,
} from '../../../installer/model/certificate-settings.ts';
import type { Report } from '../../../installer/model/events.ts';
import { pathsUnder } from '../../../installer/model/paths.ts';
import { Secret } from '../../../installer/model/secret.ts';
import { signedCertificates } from '../../../installer/tls/certificates.ts';
import {
  componentInput,
  configFrom,
  contributing,
  imagesWith,
  renderWith,
} from '../../support/component-render.ts';
import {
  addressOf,
  builtImage,
  docker,
  TestStack,
  waitHealthy,
  writeDesired,
} from '../../support/containers.ts';
import { routeTo } from '../../support/edge.ts';

export class AcmeEdge {
  readonly root: string;
  readonly #stack: TestStack;
  readonly #server: Server;
  container = '';
  address = '';
  /** This machine's own address on the network of nginx. */
  gateway = '';

  private constructor(root: string, stack: TestStack, server: Server) {
    this.root = root;
    this.#stack = stack;
    this.#server = server;
  }

  static async start(hosts: readonly string[], caches: readonly string[] = []): Promise<AcmeEdge> {
    const root = await mkdtemp(join(tmpdir(), 'holdfast-acme-'));
    const edge = new AcmeEdge(root, new TestStack(), {
      host: new LocalHost(),
      engine: new DockerEngine(),
    });
    try {
      await edge.#start(hosts, caches);
    } catch (error) {
      await edge.stop();
      throw error;
    }
    return edge;
  }

  get paths() {
    return pathsUnder(this.root);
  }

  async #start(hosts: readonly string[], caches: readonly string[]): Promise<void> {
    const { paths } = this;
    const edgeCaches = caches.map((host) => `{ host: ${host}, origin: "http://web:3000" }`);
    const config = configFrom(
      `domain: ${hosts[0]}\nservices: {}\nedgeCache: [${edgeCaches.join(', ')}]`,
    );
    const certificates = await signedCertificates(this.#server.host, paths, {
      hosts: [...hosts, ...caches],
      project: config.project,
      directory: 'https://localhost/',
      now: new Date(),
    });
    await certificates.store();
    const input = componentInput(config, {
      paths,
      images: imagesWith({ nginx: await builtImage('nginx') }),
      certificates: certificates.pairs,
    });
    const routes = hosts.map((host) => routeTo('web', 3000, { host }));
    const desired = renderWith([contributing({ routes }), tls, nginx, edgeCache, agent], input);
    await writeDesired(desired);
    const service = desired.stack.services['nginx'];
    if (service === undefined) throw new Error('no nginx in the stack');
    const network = await this.#stack.network();
    this.container = await this.#stack.service(
      service,
      network,
      ['nginx'],
      [
        ...['--label', `io.holdfast.project=${config.project}`],
        ...['--label', 'com.docker.compose.service=nginx'],
      ],
    );
    await waitHealthy(this.container);
    this.address = await addressOf(this.container);
    this.gateway = await docker(
      'inspect',
      '-f',
      '{{range .NetworkSettings.Networks}}{{.Gateway}}{{end}}',
      this.container,
    );
  }

  async stop(): Promise<void> {
    await this.#stack.remove();
    await this.#server.engine.close();
    await rm(this.root, { recursive: true });
  }

  /** As an apply with this config would have written them. */
  async settings(acme: AcmeSettings): Promise<void> {
    const settings: CertificateSettings = { version: 1, source: 'acme', acme };
    await writeFile(`${this.paths.stack}/agent/certificates.json`, JSON.stringify(settings));
  }

  async secret(name: string, value: string): Promise<void> {
    await this.#server.host.makeDirectory(this.paths.secrets, { mode: 0o700, uid: 0, gid: 0 });
    await this.#server.host.write(`${this.paths.secrets}/${name}`, new Secret(value).reveal(), {
      mode: 0o600,
      uid: 0,
      gid: 0,
    });
  }

  /** `holdfast certificates renew` at another time. */
  renew(
    options: { urgentOnly?: boolean; force?: boolean; at?: number; answerSeconds?: number } = {},
  ): Promise<RenewOutcome> {
    const { at, ...flags } = options;
    return renewOnServer(this.#context(at), this.#server, {
      urgentOnly: false,
      force: false,
      ...this.where,
      ...flags,
    });
  }

  /** What an apply does at its end; @returns what it warned of. */
  async bring(at?: number, patience: { answerSeconds?: number } = {}): Promise<string[]> {
    const warnings: string[] = [];
    const report: Report = (event) => {
      if (event.kind === 'warning') warnings.push(`${event.code}: ${event.text}`);
    };
    await bringCertificates({ ...this.#context(at), report }, this.#server, {
      ...this.where,
      ...patience,
    });
    return warnings;
  }

  get where() {
    return { httpPort: 8080, edge: { address: this.address, port: 8443 } };
  }

  #context(at: number | undefined): CliContext {
    return {
      io: {
        stdin: new PassThrough(),
        out: () => undefined,
        err: () => undefined,
        isTerminal: false,
        color: false,
        columns: 80,
      },
      paths: this.paths,
      packageRoot: '',
      open: async () => this.#server,
      report: () => undefined,
      signal: new AbortController().signal,
      now: () => new Date(at ?? Date.now()),
    };
  }

  /** What nginx shows on the wire. */
  served(host: string): Promise<X509Certificate> {
    return new Promise((resolve, reject) => {
      const socket = connect(
        { host: this.address, port: 8443, servername: host, rejectUnauthorized: false },
        () => {
          resolve(new X509Certificate(socket.getPeerCertificate().raw));
          socket.destroy();
        },
      );
      socket.on('error', reject);
    });
  }

  plain(host: string, path: string): Promise<{ status: number; location: string | undefined }> {
    return new Promise((resolve, reject) => {
      const sent = request(
        { host: this.address, port: 8080, path, headers: { host } },
        (response) => {
          response.resume();
          resolve({ status: response.statusCode ?? 0, location: response.headers.location });
        },
      );
      sent.on('error', reject).end();
    });
  }

  startedAt(): Promise<string> {
    return docker('inspect', '-f', '{{.State.StartedAt}} {{.RestartCount}}', this.container);
  }
}
