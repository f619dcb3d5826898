import { childProcess, fs, net } from '../builtins.ts';
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
  /** A unix socket to connect to instead; for `http:` only. */
  readonly socketPath?: string;
  /** Bytes of the answer that are kept, 256 KiB when absent. */
  readonly largestAnswer?: number;
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
  const socket = net.connect(
    wanted.socketPath === undefined
      ? { host, port: Number(wanted.url.port || 80) }
      : { path: wanted.socketPath },
  );
  return new Promise((resolve, reject) => {
    const collected = collector(wanted.largestAnswer ?? LARGEST_ANSWER);
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

/** Request and answer pass through files without a name: pipes would cost 2 MB of stream buffers for good. */
async function throughTls(wanted: Request): Promise<Buffer> {
  const files: number[] = [];
  const open = (): number => {
    const file = namelessFile();
    files.push(file);
    return file;
  };
  try {
    const [input, output, words] = [open(), open(), open()] as const;
    // Written at a position: the child reads from the start of the same open file.
    fs.writeSync(input, requestText(wanted), 0);
    return await askOpenssl(wanted, input, output, words);
  } finally {
    // On a full disk writing fails, for days: what stayed open then would be all that a process may have.
    for (const file of files) fs.closeSync(file);
  }
}

function askOpenssl(
  wanted: Request,
  input: number,
  output: number,
  words: number,
): Promise<Buffer> {
  const child = childProcess.spawn('openssl', tlsArguments(wanted), {
    stdio: [input, output, words],
  });
  return new Promise((resolve, reject) => {
    let isLate = false;
    const timer = setTimeout(() => {
      isLate = true;
      child.kill('SIGKILL');
    }, wanted.timeoutSeconds * 1000);
    const settle = (startFailure?: Error): void => {
      clearTimeout(timer);
      const answer = readStart(output, LARGEST_ANSWER);
      const said = readStart(words, 4_096).toString();
      const fail = (why: string): void => reject(new Error(`${wanted.url.host}: ${why}`));
      if (startFailure !== undefined) fail(`openssl cannot be started (${startFailure.message})`);
      // A server may answer in full and leave the connection open.
      else if (isLate && !isComplete(answer)) fail(`no answer within ${wanted.timeoutSeconds} s`);
      else if (answer.length === 0) fail(tlsFailure(said));
      else resolve(answer);
    };
    child.once('error', settle);
    child.once('exit', () => settle());
  });
}

let fileCount = 0;

function namelessFile(): number {
  fileCount += 1;
  const path = `/tmp/.holdfast-agent-${process.pid}-${fileCount}`;
  fs.rmSync(path, { force: true });
  const file = fs.openSync(path, 'wx+', 0o600);
  fs.unlinkSync(path);
  return file;
}

function readStart(file: number, limit: number): Buffer {
  const buffer = Buffer.alloc(Math.min(fs.fstatSync(file).size, limit));
  return buffer.subarray(0, fs.readSync(file, buffer, 0, buffer.length, 0));
}

function tlsArguments({ url, address, caFile }: Request): string[] {
  const host = bareHost(url);
  const isAddress = net.isIP(host) !== 0;
  const connect = address ?? host;
  return [
    's_client',
    '-quiet',
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

function collector(limit: number) {
  const chunks: Buffer[] = [];
  let size = 0;
  return {
    /** Whether that was enough. */
    add(chunk: Buffer): boolean {
      if (size < limit) chunks.push(chunk);
      size += chunk.length;
      return size >= limit || isComplete(Buffer.concat(chunks));
    },
    bytes: (): Buffer => Buffer.concat(chunks),
  };
}
