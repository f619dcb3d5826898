import { createHash } from 'node:crypto';
import { z } from 'zod';
import type { Secret } from '../../model/secret.ts';
import { dnsProviderError } from './dns-error.ts';
import { type DnsProvider, type TxtRecord, zoneCandidates } from './provider.ts';

const ANSWER_SECONDS = 30;
/** The least that they take. */
const TTL_SECONDS = 60;

const ErrorSchema = z.object({ message: z.string() });
const ZonesSchema = z.array(z.string());
const IdsSchema = z.array(z.number());
const RecordSchema = z.object({ id: z.number(), target: z.string() });

export interface OvhAccount {
  readonly applicationKey: Secret;
  readonly applicationSecret: Secret;
  readonly consumerKey: Secret;
  /** For messages: what the three secrets begin with. */
  readonly secretRef: string;
  /** Base URL of the API, such as `https://eu.api.ovh.com/1.0`. */
  readonly api: string;
}

/** Zones at OVH, by an application key whose consumer key may use `/domain/zone/*`. */
export function ovh(account: OvhAccount): DnsProvider {
  const { api } = account;
  let clock: Promise<number> | undefined;

  /** Seconds that their clock is ahead of ours: a signature holds for a short time. */
  const ahead = async (): Promise<number> => {
    const { body } = await send(`${api}/auth/time`, { method: 'GET' });
    return z.number().parse(body) - Math.floor(Date.now() / 1000);
  };

  const call = async (method: string, path: string, content?: unknown): Promise<unknown> => {
    clock ??= ahead();
    const url = `${api}${path}`;
    const body = content === undefined ? '' : JSON.stringify(content);
    const time = Math.floor(Date.now() / 1000) + (await clock);
    const { status, body: said } = await send(url, {
      method,
      headers: headersOf(account, { method, url, body, time }),
      ...(body === '' ? {} : { body }),
    });
    if (status < 400) return said;
    const problem = ErrorSchema.safeParse(said);
    throw refusal(status, problem.success ? problem.data.message : '', account.secretRef);
  };

  const zoneOf = async (name: string): Promise<string> => {
    const zones = ZonesSchema.parse(await call('GET', '/domain/zone'));
    const zone = zoneCandidates(name).find((candidate) => zones.includes(candidate));
    if (zone !== undefined) return zone;
    throw dnsProviderError(
      `no zone of ${name} can be seen at OVH`,
      `the keys ${account.secretRef} are valid, and none of the zones of their account holds the name`,
      `store keys of the right account: holdfast secrets set ${account.secretRef}_CONSUMER_KEY`,
    );
  };

  const records = async (zone: string, name: string) => {
    const query = `fieldType=TXT&subDomain=${encodeURIComponent(below(name, zone))}`;
    const ids = IdsSchema.parse(await call('GET', `/domain/zone/${zone}/record?${query}`));
    const path = (id: number) => `/domain/zone/${zone}/record/${id}`;
    return Promise.all(ids.map(async (id) => RecordSchema.parse(await call('GET', path(id)))));
  };

  return {
    check: async (name) => {
      await records(await zoneOf(name), `_acme-challenge.${name}`);
    },
    put: async ({ name, values }: TxtRecord) => {
      const zone = await zoneOf(name);
      for (const value of values) {
        const record = { fieldType: 'TXT', subDomain: below(name, zone), target: `"${value}"` };
        await call('POST', `/domain/zone/${zone}/record`, { ...record, ttl: TTL_SECONDS });
      }
      // Until then the name servers do not know.
      await call('POST', `/domain/zone/${zone}/refresh`);
    },
    remove: async ({ name, values }: TxtRecord) => {
      const zone = await zoneOf(name);
      for (const { id, target } of await records(zone, name)) {
        if (!values.includes(target.replaceAll('"', ''))) continue;
        await call('DELETE', `/domain/zone/${zone}/record/${id}`);
      }
      await call('POST', `/domain/zone/${zone}/refresh`);
    },
  };
}

function below(name: string, zone: string): string {
  return name === zone ? '' : name.slice(0, -zone.length - 1);
}

interface Signed {
  readonly method: string;
  readonly url: string;
  readonly body: string;
  readonly time: number;
}

/** https://help.ovhcloud.com/csm/en-api-getting-started-ovhcloud-api, "Sign the request": a digest over the secrets. */
function headersOf(
  { applicationKey, applicationSecret, consumerKey }: OvhAccount,
  { method, url, body, time }: Signed,
): Record<string, string> {
  const consumer = consumerKey.reveal();
  const text = [applicationSecret.reveal(), consumer, method, url, body, time].join('+');
  return {
    'content-type': 'application/json',
    'x-ovh-application': applicationKey.reveal(),
    'x-ovh-consumer': consumer,
    'x-ovh-timestamp': String(time),
    'x-ovh-signature': `$1$${createHash('sha1').update(text).digest('hex')}`,
  };
}

async function send(url: string, request: RequestInit) {
  try {
    const signal = AbortSignal.timeout(ANSWER_SECONDS * 1000);
    const answer = await fetch(url, { ...request, redirect: 'error', signal });
    const text = await answer.text();
    return { status: answer.status, body: jsonOf(text) };
  } catch (error) {
    const why = error instanceof Error ? String(error.cause ?? error.message) : String(error);
    throw dnsProviderError(
      'OVH cannot be asked',
      why,
      `check that this server can reach ${new URL(url).host}; holdfast tries again by itself`,
    );
  }
}

/** Undefined for what is no JSON, such as a proxy's page. */
function jsonOf(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

function refusal(status: number, said: string, secretRef: string) {
  const isKey = status === 400 || status === 401 || status === 403;
  return dnsProviderError(
    isKey ? 'OVH does not accept the keys' : 'OVH refuses a DNS change',
    `it answered ${status}: ${said}`,
    isKey
      ? `make keys that may GET, POST and DELETE /domain/zone/* and store them: holdfast secrets set ${secretRef}_APPLICATION_KEY, ${secretRef}_APPLICATION_SECRET and ${secretRef}_CONSUMER_KEY`
      : 'holdfast tries again by itself',
  );
}
