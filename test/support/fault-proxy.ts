import {
  createServer,
  type IncomingHttpHeaders,
  type IncomingMessage,
  request,
  type Server,
  type ServerResponse,
} from 'node:http';
import type { AddressInfo } from 'node:net';
import { R2Rules } from './r2-rules.ts';

interface FaultRequest {
  readonly method: string;
  readonly url: string;
  readonly headers: IncomingHttpHeaders;
}

/** What the store does to requests that `when` matches, `times` times or for ever. */
export interface Fault {
  readonly kind:
    | 'refuse'
    | 'hang'
    | 'slow'
    | 'status'
    | 'cut-upload'
    | 'cut-download'
    | 'flip-download'
    | 'edit-answer';
  /** Of `status`. */
  readonly status?: number;
  /** Bytes that still pass before a cut, or the place of the flipped one; of `slow` those that pass in a second. */
  readonly after?: number;
  /** Of `edit-answer`: what comes in the place of the store's answer. */
  readonly edit?: (body: string) => string;
  readonly when?: (request: FaultRequest) => boolean;
  readonly times?: number;
}

/** A store in front of a store that fails as told. Requests keep their Host header, so signatures hold. */
export class FaultProxy {
  readonly #server: Server;
  readonly #upstream: URL;
  #fault: Fault | undefined;
  #left = 0;
  /** How often the fault struck. */
  struck = 0;
  /** How many came. */
  requests = 0;
  /** What came that R2 would refuse, and was refused. */
  readonly refused: string[] = [];
  readonly #rules = new R2Rules();

  private constructor(server: Server, upstream: string) {
    this.#server = server;
    this.#upstream = new URL(upstream);
  }

  static async start(upstream: string): Promise<FaultProxy> {
    const server = createServer();
    const proxy = new FaultProxy(server, upstream);
    server.on('request', (incoming, answer) => proxy.#handle(incoming, answer));
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    return proxy;
  }

  get endpoint(): string {
    return `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}`;
  }

  set(fault: Fault | undefined): void {
    this.#fault = fault;
    this.#left = fault?.times ?? Number.POSITIVE_INFINITY;
    this.struck = 0;
  }

  async stop(): Promise<void> {
    this.#server.closeAllConnections();
    await new Promise<void>((resolve) => this.#server.close(() => resolve()));
  }

  #handle(incoming: IncomingMessage, answer: ServerResponse): void {
    this.requests += 1;
    const refusal = this.#rules.refusalOf(incoming);
    if (refusal !== undefined) {
      this.refused.push(`${incoming.method} ${incoming.url}: ${refusal}`);
      incoming.resume();
      answer.writeHead(501, { 'content-type': 'application/xml' });
      answer.end(`<Error><Code>NotImplemented</Code><Message>${refusal}</Message></Error>`);
      return;
    }
    const fault = this.#strike(incoming);
    switch (fault?.kind) {
      case 'refuse':
        incoming.socket.destroy();
        return;
      case 'hang':
        incoming.resume();
        return;
      case 'status':
        incoming.resume();
        incoming.on('end', () => {
          answer.writeHead(fault.status ?? 500, { 'content-type': 'application/xml' });
          answer.end('<Error><Code>InternalError</Code><Message>as told</Message></Error>');
        });
        return;
      default:
        this.#forward(incoming, answer, fault);
    }
  }

  #strike({ method = '', url = '', headers }: IncomingMessage): Fault | undefined {
    const fault = this.#fault;
    if (fault === undefined || this.#left === 0) return undefined;
    if (fault.when !== undefined && !fault.when({ method, url, headers })) return undefined;
    this.#left -= 1;
    this.struck += 1;
    return fault;
  }

  #forward(incoming: IncomingMessage, answer: ServerResponse, fault: Fault | undefined): void {
    const outgoing = request(
      {
        host: this.#upstream.hostname,
        port: this.#upstream.port,
        method: incoming.method,
        path: incoming.url,
        headers: incoming.headers,
      },
      (response) => {
        if (fault?.edit !== undefined) {
          void edited(response, answer, fault.edit);
          return;
        }
        answer.writeHead(response.statusCode ?? 502, response.headers);
        relay(response, answer, fault);
      },
    );
    outgoing.on('error', () => answer.destroy());
    let passed = 0;
    incoming.on('data', (chunk: Buffer) => {
      passed += chunk.length;
      if (fault?.kind === 'cut-upload' && passed > (fault.after ?? 0)) {
        outgoing.destroy();
        incoming.socket.destroy();
        return;
      }
      outgoing.write(chunk);
      if (fault?.kind !== 'slow') return;
      incoming.pause();
      setTimeout(() => incoming.resume(), (chunk.length / (fault.after ?? 1)) * 1_000);
    });
    incoming.on('end', () => outgoing.end());
    incoming.on('error', () => outgoing.destroy());
  }
}

async function edited(
  response: IncomingMessage,
  answer: ServerResponse,
  edit: (body: string) => string,
): Promise<void> {
  const chunks: Buffer[] = [];
  for await (const chunk of response) chunks.push(chunk as Buffer);
  const {
    'content-length': _length,
    'transfer-encoding': _encoding,
    ...headers
  } = response.headers;
  answer.writeHead(response.statusCode ?? 502, headers);
  answer.end(edit(Buffer.concat(chunks).toString('utf8')));
}

function relay(response: IncomingMessage, answer: ServerResponse, fault: Fault | undefined): void {
  let passed = 0;
  const place = fault?.after ?? 0;
  response.on('data', (chunk: Buffer) => {
    if (fault?.kind === 'cut-download' && passed + chunk.length > place) {
      answer.write(chunk.subarray(0, Math.max(0, place - passed)), () => answer.destroy());
      response.destroy();
      return;
    }
    if (fault?.kind === 'flip-download' && place >= passed && place < passed + chunk.length) {
      chunk[place - passed] = (chunk[place - passed] ?? 0) ^ 1;
    }
    passed += chunk.length;
    answer.write(chunk);
  });
  response.on('end', () => answer.end());
  response.on('error', () => answer.destroy());
}
