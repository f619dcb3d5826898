import { request as plainRequest } from 'node:http';
import { request as tlsRequest } from 'node:https';
import { isIPv6 } from 'node:net';
import { networkInterfaces } from 'node:os';
import { AppError } from '../errors.ts';
import { systemResolver } from './resolver.ts';

const ANSWER_SECONDS = 10;
const MOST_REDIRECTS = 5;
/** Of an answer that is not ours, characters. */
const QUOTED = 60;

export interface ReachedInput {
  readonly name: string;
  readonly path: string;
  /** What must come back. */
  readonly content: string;
  readonly port: number;
  /** The name leads to a proxy of its owner, whose IPv6 addresses a server without IPv6 cannot ask. */
  readonly proxied: boolean;
}

/**
 * Asks for a file of ours at every address that DNS has for a name, IPv4 and IPv6 apart, as the authority
 * will do.
 * @throws AppError `certificate/no-address`, `certificate/elsewhere`
 */
export async function checkReached(input: ReachedInput): Promise<void> {
  const { name } = input;
  const resolver = systemResolver();
  const [v4, v6] = await Promise.all([
    addresses(name, () => resolver.resolve4(name)),
    addresses(name, () => resolver.resolve6(name)),
  ]);
  if (v4.length + v6.length === 0) {
    throw new AppError({
      code: 'certificate/no-address',
      what: `${name} has neither an A nor an AAAA record`,
      hint: `at your DNS provider, add: ${name} A ${ownAddresses().v4[0] ?? 'the address of this server'}`,
    });
  }
  for (const [type, list] of [
    ['A', v4],
    ['AAAA', v6],
  ] as const) {
    for (const address of list) {
      const failure = await failureAt(input, address);
      if (failure !== undefined) throw elsewhere(input, type, address, failure);
    }
  }
}

async function addresses(name: string, look: () => Promise<string[]>): Promise<string[]> {
  try {
    return await look();
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code === 'ENODATA' || code === 'ENOTFOUND') return [];
    throw new AppError({
      code: 'certificate/dns-lookup',
      what: `the addresses of ${name} cannot be looked up`,
      why: `DNS answers ${code ?? String(error)}`,
      hint: 'check the name servers of the domain; holdfast tries again by itself',
      cause: error,
    });
  }
}

async function failureAt(input: ReachedInput, address: string): Promise<string | undefined> {
  const { name, path, content, port, proxied } = input;
  try {
    const { status, body } = await follow(`http://${name}:${port}${path}`, name, address);
    if (status === 200 && body.trim() === content) return undefined;
    return `it answers ${status} ${JSON.stringify(body.slice(0, QUOTED))} where a file of this server should be`;
  } catch (error) {
    const { code, message } = error as NodeJS.ErrnoException;
    const hasNoWay = code === 'ENETUNREACH' || code === 'EADDRNOTAVAIL';
    if (hasNoWay && isIPv6(address)) {
      return proxied ? undefined : 'this server has no IPv6, so the address cannot be its own';
    }
    return code === 'ECONNREFUSED' ? 'the connection is refused' : message;
  }
}

function elsewhere(
  { name, port }: ReachedInput,
  type: 'A' | 'AAAA',
  address: string,
  why: string,
): AppError {
  const own = ownAddresses();
  const right = (type === 'A' ? own.v4 : own.v6).join(' or ');
  const change =
    type === 'AAAA'
      ? `remove the record ${name} AAAA ${address}${right === '' ? '' : `, or set it to ${right}`}`
      : `set the record ${name} A to the public address of this server${right === '' ? '' : ` (its own: ${right})`}`;
  return new AppError({
    code: 'certificate/elsewhere',
    what: `${name} does not lead to this server: its ${type} record is ${address}`,
    why,
    hint: `at your DNS provider, ${change}; if the address is right, let port ${port} in at your provider's firewall`,
  });
}

interface Reply {
  readonly status: number;
  readonly body: string;
  /** Of a redirect. */
  readonly location?: string | undefined;
}

/** Follows redirects as authorities do; only the name that is checked goes to the address that is checked. */
async function follow(first: string, name: string, address: string): Promise<Reply> {
  let url = new URL(first);
  for (let count = 0; count <= MOST_REDIRECTS; count += 1) {
    const { location, ...reply } = await get(url, url.hostname === name ? address : undefined);
    if (location === undefined) return reply;
    url = new URL(location, url);
  }
  throw new Error(`more than ${MOST_REDIRECTS} redirects`);
}

function get(url: URL, address?: string): Promise<Reply> {
  const send = url.protocol === 'https:' ? tlsRequest : plainRequest;
  return new Promise((resolve, reject) => {
    const sent = send(url, {
      agent: false,
      // A certificate is what is about to be asked for.
      rejectUnauthorized: false,
      signal: AbortSignal.timeout(ANSWER_SECONDS * 1000),
      ...(address === undefined ? {} : { hostname: address, servername: url.hostname }),
      headers: { host: url.host },
    });
    sent.on('error', (error) =>
      reject(
        error.name === 'TimeoutError' ? new Error(`no answer within ${ANSWER_SECONDS} s`) : error,
      ),
    );
    sent.on('response', (response) => {
      let body = '';
      response.setEncoding('latin1').on('error', reject);
      response.on('data', (text: string) => {
        body = (body + text).slice(0, 4096);
      });
      response.on('end', () => {
        const { statusCode: status = 0, headers } = response;
        const isMoved = status >= 300 && status < 400;
        resolve({ status, body, location: isMoved ? headers.location : undefined });
      });
    });
    sent.end();
  });
}

/** Addresses of this machine that others could reach; bridges of containers are left out. */
function ownAddresses(): { readonly v4: string[]; readonly v6: string[] } {
  const outward = Object.entries(networkInterfaces())
    .filter(([device]) => !/^(?:lo|docker|br-|veth)/.test(device))
    .flatMap(([, list = []]) => list)
    .filter(({ internal, address }) => !internal && !/^f[cde]/i.test(address));
  const of = (family: string): string[] =>
    outward.filter((one) => one.family === family).map(({ address }) => address);
  return { v4: of('IPv4'), v6: of('IPv6') };
}
