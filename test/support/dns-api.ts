import { createHash, createHmac } from 'node:crypto';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { text } from 'node:stream/consumers';

export type Handler = (
  request: IncomingMessage,
  body: string,
) => { readonly status?: number; readonly body: string };

/** @returns base URL of a provider's API that this handler plays */
export async function serving(
  t: { teardown(fn: () => Promise<void>): void },
  handler: Handler,
): Promise<string> {
  const server = createServer(async (incoming: IncomingMessage, answer: ServerResponse) => {
    const { status = 200, body } = handler(incoming, await text(incoming));
    answer.writeHead(status, { 'content-type': 'application/json' }).end(body);
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  t.teardown(() => new Promise<void>((resolve) => server.close(() => resolve())));
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
}

const XMLNS = 'xmlns="https://route53.amazonaws.com/doc/2013-04-01/"';

function hostedZone(id: string, name: string, isPrivate: boolean): string {
  return `<HostedZone><Id>/hostedzone/${id}</Id><Name>${name}</Name><CallerReference>x</CallerReference><Config><PrivateZone>${isPrivate}</PrivateZone></Config></HostedZone>`;
}

/**
 * Route 53's API as far as a client of TXT records sees it: strict about who signs, and with what.
 * @param privateZone whether a private zone of the same name comes before the public one
 */
export function route53Zone(
  key: { readonly id: string; readonly secret: string },
  { privateZone = false }: { readonly privateZone?: boolean } = {},
): {
  readonly changes: readonly string[];
  readonly handler: Handler;
} {
  const changes: string[] = [];
  const refuse = (code: string) => ({
    status: code === 'InvalidChangeBatch' ? 400 : 403,
    body: `<ErrorResponse ${XMLNS}><Error><Type>Sender</Type><Code>${code}</Code><Message>as told</Message></Error></ErrorResponse>`,
  });
  const handler: Handler = (request, body) => {
    const { method, url = '', headers } = request;
    if (!headers.authorization?.includes(`Credential=${key.id}/`)) {
      return refuse('InvalidClientTokenId');
    }
    if (!isSigned(request, body, key.secret)) return refuse('SignatureDoesNotMatch');
    const { pathname, searchParams } = new URL(url, 'http://stand-in');
    if (pathname.endsWith('/hostedzonesbyname')) {
      const zones =
        searchParams.get('dnsname') === 'example.com'
          ? [
              ...(privateZone ? [hostedZone('Z9', 'example.com.', true)] : []),
              hostedZone('Z1', 'example.com.', false),
            ]
          : [hostedZone('Z2', 'other.org.', false)];
      const most = Number(searchParams.get('maxitems') ?? 100);
      return {
        body: `<ListHostedZonesByNameResponse ${XMLNS}><HostedZones>${zones.slice(0, most).join('')}</HostedZones><IsTruncated>${zones.length > most}</IsTruncated><MaxItems>${most}</MaxItems></ListHostedZonesByNameResponse>`,
      };
    }
    if (method === 'POST' && /\/hostedzone\/Z1\/rrset\/?$/.test(pathname)) {
      const action = /<Action>(\w+)</.exec(body)?.[1] ?? '';
      if (action === 'DELETE' && changes.at(-1)?.startsWith('UPSERT') !== true) {
        return refuse('InvalidChangeBatch');
      }
      changes.push(`${action} ${[...body.matchAll(/<Value>([^<]*)</g)].map(([, v]) => v)}`);
    }
    const info =
      '<ChangeInfo><Id>/change/C1</Id><Status>INSYNC</Status><SubmittedAt>2026-11-28T12:00:00Z</SubmittedAt></ChangeInfo>';
    const root = method === 'POST' ? 'ChangeResourceRecordSetsResponse' : 'GetChangeResponse';
    return { body: `<${root} ${XMLNS}>${info}</${root}>` };
  };
  return { changes, handler };
}

const sha256 = (content: string): string => createHash('sha256').update(content).digest('hex');
const hmac = (key: string | Buffer, content: string): Buffer =>
  createHmac('sha256', key).update(content).digest();

/** Whether the request carries the signature, version 4, of this secret. */
function isSigned(request: IncomingMessage, body: string, secret: string): boolean {
  const { method, url = '', headers } = request;
  const said = /Credential=[^/]+\/(\S+), SignedHeaders=(\S+), Signature=(\w+)/.exec(
    headers.authorization ?? '',
  );
  const [, scope = '', signedHeaders = '', signature] = said ?? [];
  const { pathname, searchParams } = new URL(url, 'http://stand-in');
  searchParams.sort();
  const canonical = [
    method,
    pathname,
    String(searchParams),
    ...signedHeaders.split(';').map((name) => `${name}:${headers[name]}`),
    '',
    signedHeaders,
    sha256(body),
  ].join('\n');
  const toSign = ['AWS4-HMAC-SHA256', headers['x-amz-date'], scope, sha256(canonical)].join('\n');
  const key = scope.split('/').reduce<string | Buffer>(hmac, `AWS4${secret}`);
  return hmac(key, toSign).toString('hex') === signature;
}
