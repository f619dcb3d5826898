import { childProcess, net } from '../builtins.ts';
import {
  type HttpAnswer,
  type HttpMessage,
  isComplete,
  readAnswer,
  requestText,
} from './http-message.ts';

export interface Request extends HttpMessage {
  readonly timeoutSeconds: number;
  /** Where to connect instead of the URL's host, which stays the name that is asked for. */
  readonly address?: string;
  /** Trusted besides the system's authorities. */
  readonly caFile?: string;
}

/** Enough of a body for what is looked for in it, and bounded. */
const LARGEST_ANSWER = 256 * 1024;

/**
 * One HTTP request on a connection of its own. TLS is done by the `openssl` program, which Debian's
 * ca-certificates brings: a TLS stack in the resident process would cost 11 MB for ever. Only the host's
 * name is on its command line, for the path of a ping URL is a secret.
 *
 * @throws Error with one sentence that holds nothing of the URL but its host
 */
export async function request(wanted: Request): Promise<HttpAnswer> {
  const { url } = wanted;
  const bytes = url.protocol === 'https:' ? await throughTls(wanted) : await throughSocket(wanted);
  try {
    return readAnswer(bytes);
  } catch (error) {
    throw new Error(`${url.host}: ${error instanceof Error ? error.message : 'no answer'}`);
  }
}

function throughSocket(wanted: Request): Promise<Buffer> {
  const host = wanted.address ?? bareHost(wanted.url);
  const socket = net.connect({ host, port: Number(wanted.url.port || 80) });
  return new Promise((resolve, reject) => {
    const collected = collector();
    const timer = setTimeout(
      () => socket.destroy(new Error(`no answer within ${wanted.timeoutSeconds} s`)),
      wanted.timeoutSeconds * 1000,
    );
    socket.once('connect', () => socket.write(requestText(wanted)));
    socket.on('data', (chunk: Buffer) => {
      if (collected.add(chunk)) socket.destroy();
    });
    socket.once('error', (error) => reject(new Error(`${wanted.url.host}: ${error.message}`)));
    socket.once('close', () => {
      clearTimeout(timer);
      resolve(collected.bytes());
    });
  });
}

function throughTls(wanted: Request): Promise<Buffer> {
  const child = childProcess.spawn('openssl', tlsArguments(wanted), {
    stdio: ['pipe', 'pipe', 'pipe'],
  });
  return new Promise((resolve, reject) => {
    const collected = collector();
    let words = '';
    let isLate = false;
    const timer = setTimeout(() => {
      isLate = true;
      child.kill('SIGKILL');
    }, wanted.timeoutSeconds * 1000);
    child.stdout.on('data', (chunk: Buffer) => {
      if (collected.add(chunk)) child.kill('SIGKILL');
    });
    child.stderr.on('data', (chunk: Buffer) => {
      words = (words + chunk.toString()).slice(-4_096);
    });
    // A server that hangs up early makes the write fail; what it said comes through stdout.
    child.stdin.once('error', () => undefined);
    child.stdin.write(requestText(wanted));
    const fail = (why: string): void => reject(new Error(`${wanted.url.host}: ${why}`));
    child.once('error', (error) => {
      clearTimeout(timer);
      fail(`the program openssl cannot be started (${error.message})`);
    });
    child.once('close', () => {
      clearTimeout(timer);
      if (isLate) fail(`no answer within ${wanted.timeoutSeconds} s`);
      else if (collected.bytes().length === 0) fail(tlsFailure(words));
      else resolve(collected.bytes());
    });
  });
}

function tlsArguments({ url, address, caFile }: Request): string[] {
  const host = bareHost(url);
  const isAddress = net.isIP(host) !== 0;
  const connect = address ?? host;
  return [
    's_client',
    '-quiet',
    '-no_ign_eof',
    '-verify_return_error',
    '-connect',
    `${net.isIP(connect) === 6 ? `[${connect}]` : connect}:${url.port || 443}`,
    ...(isAddress
      ? ['-noservername', '-verify_ip', host]
      : ['-servername', host, '-verify_hostname', host]),
    '-CApath',
    '/etc/ssl/certs',
    ...(caFile === undefined ? [] : ['-CAfile', caFile]),
  ];
}

/** The one line of openssl's words that tells why. */
function tlsFailure(words: string): string {
  const verify = /verify error:num=\d+:(.*)/.exec(words)?.[1];
  if (verify !== undefined) return `the certificate is refused: ${verify}`;
  const connect = /connect:errno=(\d+)/.exec(words)?.[1];
  if (connect !== undefined) return `no connection (errno ${connect})`;
  const line = words.trim().split('\n').at(-1) ?? '';
  return line === '' ? 'the server closed without an answer' : line.slice(0, 200);
}

function bareHost(url: URL): string {
  return url.hostname.replace(/^\[|\]$/g, '');
}

function collector() {
  const chunks: Buffer[] = [];
  let size = 0;
  return {
    /** Whether that was enough. */
    add(chunk: Buffer): boolean {
      if (size < LARGEST_ANSWER) chunks.push(chunk);
      size += chunk.length;
      return size >= LARGEST_ANSWER || isComplete(Buffer.concat(chunks));
    },
    bytes: (): Buffer => Buffer.concat(chunks),
  };
}
