/** An ACME server (Pebble), the name server that it asks (BIND), and a proxy before it that fails as told. */
import { type ChildProcess, spawn } from 'node:child_process';
import dns from 'node:dns';
import { closeSync, openSync, readFileSync } from 'node:fs';
import { mkdir, rm, writeFile } from 'node:fs/promises';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { createServer, request } from 'node:https';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { withCertificates } from '../../../installer/tls/private-ca.ts';
import { waitFor } from '../../support/containers.ts';
import { freePort } from './free-port.ts';

export const TSIG_KEY = { name: 'holdfast', secret: Buffer.alloc(32, 7).toString('base64') };
export const CAA_IDENTITY = 'pebble.example';
const DAY = 86_400;

export interface AcmeFault {
  readonly kind: 'cut' | 'hang' | 'answer';
  /** Part of the path that it strikes. */
  readonly path: string;
  /** Of `answer`. */
  readonly status?: number;
  readonly type?: string;
  readonly retryAfter?: string;
}

export class AcmeLab {
  readonly folder: string;
  /** PEM of what signed the ACME server. */
  readonly ca: string;
  readonly directory: string;
  fault: AcmeFault | undefined;
  /** A name whose proof it goes on checking for ever. */
  undecided: string | undefined;
  /** What it says about when to renew (RFC 9773), which Pebble 2.4 cannot; nothing when undefined. */
  suggested: { readonly start: number; readonly end: number } | undefined;
  /** Called with each path before it is answered. */
  onAsk: (path: string) => void = () => undefined;
  /** Orders that were taken. */
  orders = 0;
  /** Paths that were asked for, by the last word. */
  readonly asked: string[] = [];
  readonly #programs: ChildProcess[];
  readonly #close: () => void;
  readonly #servers = dns.getServers();

  private constructor(fields: {
    folder: string;
    ca: string;
    port: number;
    programs: ChildProcess[];
    close: () => void;
  }) {
    this.folder = fields.folder;
    this.ca = fields.ca;
    this.directory = `https://localhost:${fields.port}/dir`;
    this.#programs = fields.programs;
    this.#close = fields.close;
  }

  /**
   * @param nameServer an address of this machine where port 53 is free, such as that of a test's bridge
   * @param zone text of the records of `edge.example`
   * @param httpPort where Pebble looks for http-01
   */
  static async start(
    folder: string,
    { nameServer, zone, httpPort }: { nameServer: string; zone: string; httpPort: number },
    options: { readonly eab?: Readonly<Record<string, string>>; readonly days?: number } = {},
  ): Promise<AcmeLab> {
    await mkdir(folder, { recursive: true });
    const signed = await withCertificates(
      { authority: undefined, leaves: new Map() },
      ['localhost'],
      { now: new Date(), name: 'lab' },
    );
    const pair = signed.leaves.get('localhost');
    if (pair === undefined) throw new Error('no certificate for localhost');
    const tls = { cert: pair.certificate, key: pair.key.reveal() };
    const port = await freePort();
    await writeFile(join(folder, 'cert.pem'), tls.cert);
    await writeFile(join(folder, 'key.pem'), tls.key, { mode: 0o600 });
    await writeFile(
      join(folder, 'pebble.json'),
      JSON.stringify({
        pebble: {
          listenAddress: `127.0.0.1:${port}`,
          managementListenAddress: `127.0.0.1:${await freePort()}`,
          certificate: join(folder, 'cert.pem'),
          privateKey: join(folder, 'key.pem'),
          httpPort,
          tlsPort: 8443,
          certificateValidityPeriod: (options.days ?? 90) * DAY,
          externalAccountBindingRequired: options.eab !== undefined,
          ...(options.eab === undefined ? {} : { externalAccountMACKeys: options.eab }),
        },
      }),
    );
    const named = await startNamed(folder, nameServer, zone);
    const pebble = spawn(
      'pebble',
      ['-config', join(folder, 'pebble.json'), '-dnsserver', `${nameServer}:53`, '-strict'],
      {
        stdio: 'ignore',
        env: {
          ...process.env,
          PEBBLE_VA_NOSLEEP: '1',
          PEBBLE_WFE_NONCEREJECT: '10',
          PEBBLE_AUTHZREUSE: '0',
        },
      },
    );
    dns.setServers([nameServer]);
    const server = createServer(tls);
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    const lab = new AcmeLab({
      folder,
      ca: signed.authority?.certificate ?? '',
      port: (server.address() as AddressInfo).port,
      programs: [pebble, ...named],
      close: () => {
        server.closeAllConnections();
        server.close();
      },
    });
    server.on('request', (incoming, answer) => lab.#handle(incoming, answer, port, lab.ca));
    await waitFor('Pebble', () => answers(`https://localhost:${port}/dir`, lab.ca));
    return lab;
  }

  async stop(): Promise<void> {
    dns.setServers(this.#servers);
    this.#close();
    for (const program of this.#programs) {
      const gone = new Promise((resolve) => program.once('exit', resolve));
      if (program.exitCode === null && program.kill('SIGKILL')) await gone;
    }
    await rm(this.folder, { recursive: true });
  }

  get #renewalInfo(): string {
    return this.directory.replace('/dir', '/renewal-info');
  }

  #advise(answer: ServerResponse): void {
    const { start = 0, end = 0 } = this.suggested ?? {};
    const of = (time: number): string => new Date(time).toISOString();
    answer.writeHead(200, { 'content-type': 'application/json', 'retry-after': '21600' });
    answer.end(JSON.stringify({ suggestedWindow: { start: of(start), end: of(end) } }));
  }

  /** Pebble says nothing about CAA in its directory, as real authorities do, and always comes to an end. */
  #altered(path: string, body: string): string {
    if (path === '/dir') {
      const directory = JSON.parse(body);
      if (this.suggested !== undefined) directory.renewalInfo = this.#renewalInfo;
      directory.meta = { ...directory.meta, caaIdentities: [CAA_IDENTITY] };
      return JSON.stringify(directory);
    }
    if (this.undecided === undefined || !path.startsWith('/authZ/')) return body;
    const authorization = JSON.parse(body);
    if (authorization.identifier?.value === this.undecided) {
      authorization.status = 'pending';
      // Pebble itself may have come to an end, sooner or later than the client gives up.
      for (const challenge of authorization.challenges) delete challenge.error;
    }
    return JSON.stringify(authorization);
  }

  #handle(incoming: IncomingMessage, answer: ServerResponse, port: number, ca: string): void {
    const { fault } = this;
    const path = incoming.url ?? '';
    this.asked.push(path.split('/')[1] ?? '');
    this.onAsk(path);
    if (path.startsWith('/renewal-info/')) {
      this.#advise(answer);
      return;
    }
    if (fault !== undefined && path.includes(fault.path)) {
      if (fault.kind === 'cut') return void incoming.socket.destroy();
      if (fault.kind === 'hang') return void incoming.resume();
      const { status = 500, type = 'serverInternal', retryAfter } = fault;
      answer.writeHead(status, {
        'content-type': 'application/problem+json',
        ...(retryAfter === undefined ? {} : { 'retry-after': retryAfter }),
      });
      answer.end(JSON.stringify({ type: `urn:ietf:params:acme:error:${type}`, detail: 'as told' }));
      return;
    }
    const outgoing = request(
      {
        host: 'localhost',
        port,
        ca,
        method: incoming.method,
        path,
        // With its own Host header, Pebble names this proxy in all its URLs.
        headers: incoming.headers,
      },
      (response) => {
        if (path === '/order-plz' && response.statusCode === 201) this.orders += 1;
        relay(response, answer, (body) => this.#altered(path, body));
      },
    );
    outgoing.on('error', () => answer.destroy());
    incoming.pipe(outgoing);
  }
}

function relay(
  response: IncomingMessage,
  answer: ServerResponse,
  altered: (body: string) => string,
): void {
  const chunks: Buffer[] = [];
  response.on('data', (chunk: Buffer) => chunks.push(chunk));
  response.on('end', () => {
    const { 'content-length': _length, ...headers } = response.headers;
    const body = altered(Buffer.concat(chunks).toString());
    answer.writeHead(response.statusCode ?? 502, headers).end(body);
  });
}

async function startNamed(folder: string, address: string, zone: string): Promise<ChildProcess[]> {
  if (zone === '') return [];
  const zoneFile = join(folder, 'edge.example.zone');
  await writeFile(
    zoneFile,
    `$TTL 1\n@ IN SOA ns hostmaster 1 60 60 60 1\n@ IN NS ns\nns IN A ${address}\n${zone}\n`,
  );
  await writeFile(
    join(folder, 'named.conf'),
    `options {
  directory "${folder}"; pid-file none; session-keyfile none; recursion no; dnssec-validation no;
  listen-on port 53 { ${address}; }; listen-on-v6 { none; };
};
controls { };
key "${TSIG_KEY.name}" { algorithm hmac-sha256; secret "${TSIG_KEY.secret}"; };
zone "edge.example" { type primary; file "${zoneFile}"; allow-update { key "${TSIG_KEY.name}"; }; };
`,
  );
  const log = openSync(join(folder, 'named.log'), 'w');
  const named = spawn('/usr/sbin/named', ['-g', '-4', '-c', join(folder, 'named.conf')], {
    stdio: ['ignore', 'ignore', log],
  });
  closeSync(log);
  const resolver = new dns.promises.Resolver({ timeout: 500, tries: 1 });
  resolver.setServers([address]);
  try {
    await waitFor('BIND', async () => {
      if (named.exitCode !== null) throw new Error('BIND ended');
      return resolver.resolveSoa('edge.example').catch(() => undefined);
    });
  } catch (error) {
    named.kill('SIGKILL');
    throw new Error(readFileSync(join(folder, 'named.log'), 'utf8'), { cause: error });
  }
  return [named];
}

function answers(url: string, ca: string): Promise<true | undefined> {
  return new Promise((resolve) => {
    const sent = request(url, { ca }, (response) => {
      response.resume().on('end', () => resolve(response.statusCode === 200 || undefined));
    });
    sent.on('error', () => resolve(undefined)).end();
  });
}
