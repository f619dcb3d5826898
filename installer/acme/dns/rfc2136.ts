import { randomInt } from 'node:crypto';
import { promises as dns } from 'node:dns';
import { connect } from 'node:net';
import type { TsigAlgorithm } from '../../model/certificate-settings.ts';
import type { Secret } from '../../model/secret.ts';
import { dnsProviderError } from './dns-error.ts';
import { type DnsProvider, type TxtRecord, zoneCandidates } from './provider.ts';
import { updateAnswer, updateMessage } from './update-message.ts';

const ANSWER_SECONDS = 15;

export interface Rfc2136Options {
  /** Address of the primary; port 53 when there is none behind a colon. */
  readonly server: string;
  readonly keyName: string;
  readonly algorithm: TsigAlgorithm;
  readonly key: Secret;
  /** Name of the secret, for messages. */
  readonly secretName: string;
}

/** A name server that takes dynamic updates, such as BIND, Knot or PowerDNS. */
export function rfc2136(options: Rfc2136Options): DnsProvider {
  const { address, port } = serverAddress(options.server);
  const update = async (record: TxtRecord, action: 'add' | 'delete'): Promise<void> => {
    const id = randomInt(0x1_0000);
    const zone = await zoneOf(record.name, address, port);
    const { keyName: name, algorithm } = options;
    const key = { name, algorithm, key: Buffer.from(options.key.reveal(), 'base64') };
    const message = updateMessage({ id, zone, record, action }, key, new Date());
    const { rcode, tsigError } = updateAnswer(await exchange(address, port, message), id);
    if (rcode !== 0) throw refusal(rcode, tsigError, zone, options);
  };
  return {
    // Removing a value that is not there proves the key and changes nothing.
    check: (name) => update({ name: `_acme-challenge.${name}`, values: ['holdfast'] }, 'delete'),
    put: (record) => update(record, 'add'),
    remove: (record) => update(record, 'delete'),
  };
}

function serverAddress(server: string): { address: string; port: number } {
  const [, address = server, port = '53'] = /^\[?([^\]]+?)\]?(?::(\d+))?$/.exec(server) ?? [];
  return { address, port: Number(port) };
}

async function zoneOf(name: string, address: string, port: number): Promise<string> {
  const resolver = new dns.Resolver({ timeout: 5000, tries: 2 });
  resolver.setServers([address.includes(':') ? `[${address}]:${port}` : `${address}:${port}`]);
  for (const candidate of zoneCandidates(name)) {
    try {
      await resolver.resolveSoa(candidate);
      return candidate;
    } catch (error) {
      const { code = '' } = error as NodeJS.ErrnoException;
      if (['ENODATA', 'ENOTFOUND', 'EREFUSED'].includes(code)) continue;
      throw dnsProviderError(
        `the name server ${address} cannot be asked for the zone of ${name}`,
        code,
        'correct `tls.dnsProvider.server`, or let this server reach it on port 53',
        error,
      );
    }
  }
  throw dnsProviderError(
    `the name server ${address} has no zone of ${name}`,
    'it knows no SOA record of the name or its parents',
    'correct `tls.dnsProvider.server`',
  );
}

/** One message and its answer over TCP, which has no limit of length. */
function exchange(address: string, port: number, message: Buffer): Promise<Buffer> {
  return new Promise((resolve, reject) => {
    const fail = (why: string): void => {
      socket.destroy();
      reject(
        dnsProviderError(
          `the name server ${address} does not take the update`,
          why,
          'check that it takes dynamic updates over TCP from this server',
        ),
      );
    };
    const socket = connect({ host: address, port });
    let received = Buffer.alloc(0);
    socket.setTimeout(ANSWER_SECONDS * 1000, () => fail(`no answer within ${ANSWER_SECONDS} s`));
    socket.on('error', (error) => fail(error.message));
    socket.on('close', () => fail('it closed the connection'));
    socket.on('connect', () => {
      const length = Buffer.alloc(2);
      length.writeUInt16BE(message.length);
      socket.write(Buffer.concat([length, message]));
    });
    socket.on('data', (chunk: Buffer) => {
      received = Buffer.concat([received, chunk]);
      if (received.length < 2) return;
      const end = 2 + received.readUInt16BE(0);
      if (received.length < end) return;
      resolve(received.subarray(2, end));
      socket.destroy();
    });
  });
}

const RCODES: Readonly<Record<number, string>> = {
  1: 'FORMERR',
  2: 'SERVFAIL',
  4: 'NOTIMP',
  5: 'REFUSED',
  9: 'NOTAUTH',
  10: 'NOTZONE',
};
const TSIG_ERRORS: Readonly<Record<number, string>> = {
  16: 'BADSIG: the secret is another one',
  17: 'BADKEY: the server has no key of this name and algorithm',
  18: 'BADTIME: the clocks are more than five minutes apart',
};

function refusal(rcode: number, tsigError: number, zone: string, options: Rfc2136Options) {
  const why = TSIG_ERRORS[tsigError] ?? RCODES[rcode] ?? `response code ${rcode}`;
  return dnsProviderError(
    `the name server ${options.server} refuses to change ${zone}`,
    why,
    tsigError === 18
      ? 'set the clocks: apt-get install systemd-timesyncd'
      : `allow the key ${options.keyName} to update the zone, and store its secret: holdfast secrets set ${options.secretName}`,
  );
}
