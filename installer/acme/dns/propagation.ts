import { promises as dns } from 'node:dns';
import { setTimeout } from 'node:timers/promises';
import { AppError } from '../../errors.ts';
import { systemResolver } from '../resolver.ts';
import { type TxtRecord, zoneCandidates } from './provider.ts';

const POLL_SECONDS = 2;
const PATIENCE_SECONDS = 180;

/**
 * Waits until every name server of the zone shows the records: an authority asks any of them.
 * @throws AppError `certificate/dns-not-seen`
 */
export async function waitUntilSeen(record: TxtRecord, signal: AbortSignal): Promise<void> {
  const servers = await authoritativeServers(record.name);
  const deadline = Date.now() + PATIENCE_SECONDS * 1000;
  for (const server of servers) {
    while (!(await shows(server, record))) {
      if (Date.now() > deadline) {
        throw new AppError({
          code: 'certificate/dns-not-seen',
          what: `the name server ${server} does not show the TXT record ${record.name}`,
          why: `it was written, and ${PATIENCE_SECONDS} s later it is not there`,
          hint: 'check that the NS records of the domain point to the provider in `tls.dnsProvider`',
        });
      }
      await setTimeout(POLL_SECONDS * 1000, undefined, { signal });
    }
  }
}

async function shows(server: string, { name, values }: TxtRecord): Promise<boolean> {
  const resolver = new dns.Resolver({ timeout: 3000, tries: 1 });
  resolver.setServers([server]);
  try {
    const seen = (await resolver.resolveTxt(name)).map((parts) => parts.join(''));
    return values.every((value) => seen.includes(value));
  } catch {
    // Not there, or no answer this time: asked again until the patience ends.
    return false;
  }
}

/** Addresses of the zone's name servers, as the system's resolver knows them. */
async function authoritativeServers(name: string): Promise<string[]> {
  const resolver = systemResolver();
  for (const candidate of zoneCandidates(name)) {
    const names = await resolver.resolveNs(candidate).catch(() => {
      // No zone begins at this name: its parent is tried.
      return [];
    });
    const lists = await Promise.all(
      names.map((server) =>
        resolver.resolve4(server).catch(() => {
          // A server with IPv6 only, which this machine may not reach: the others are asked.
          return [];
        }),
      ),
    );
    if (lists.flat().length > 0) return lists.flat();
  }
  throw new AppError({
    code: 'certificate/dns-not-seen',
    what: `no name server of ${name} can be found`,
    why: 'neither the name nor its parents have NS records that this server can see',
    hint: 'register the domain, or correct its NS records',
  });
}
