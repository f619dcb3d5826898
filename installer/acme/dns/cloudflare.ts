import { z } from 'zod';
import type { Secret } from '../../model/secret.ts';
import { dnsProviderError } from './dns-error.ts';
import { type DnsProvider, type TxtRecord, zoneCandidates } from './provider.ts';

const API = 'https://api.cloudflare.com/client/v4';
const ANSWER_SECONDS = 30;
/** Short, so that a second try does not see the first one's value; the least that they take. */
const TTL_SECONDS = 60;

const AnswerSchema = z.object({
  success: z.boolean(),
  errors: z.array(z.object({ code: z.number(), message: z.string() })).default([]),
  result: z.unknown(),
});
const ZonesSchema = z.array(z.object({ id: z.string(), name: z.string() }));
const RecordsSchema = z.array(z.object({ id: z.string(), content: z.string() }));

/**
 * Zones at Cloudflare, by an API token with the permission Zone, DNS, Edit.
 * @param api base URL; theirs when absent
 */
export function cloudflare(token: Secret, tokenSecret: string, api = API): DnsProvider {
  const call = async (method: string, path: string, body?: unknown): Promise<unknown> => {
    let answer: Response;
    try {
      answer = await fetch(`${api}${path}`, {
        method,
        headers: {
          authorization: `Bearer ${token.reveal()}`,
          'content-type': 'application/json',
        },
        signal: AbortSignal.timeout(ANSWER_SECONDS * 1000),
        ...(body === undefined ? {} : { body: JSON.stringify(body) }),
      });
    } catch (error) {
      const why = error instanceof Error ? String(error.cause ?? error.message) : String(error);
      throw dnsProviderError(
        'Cloudflare cannot be asked',
        why,
        'check that this server can reach api.cloudflare.com; holdfast tries again by itself',
      );
    }
    const parsed = AnswerSchema.safeParse(await answer.json().catch(() => undefined));
    if (parsed.success && parsed.data.success) return parsed.data.result;
    const why = parsed.success
      ? parsed.data.errors.map(({ code, message }) => `${message} (${code})`).join(', ')
      : '';
    throw refusal(answer.status, `it answered ${answer.status}: ${why}`, tokenSecret);
  };

  const zoneOf = async (name: string): Promise<string> => {
    for (const candidate of zoneCandidates(name)) {
      const zones = ZonesSchema.parse(await call('GET', `/zones?name=${candidate}`));
      const [zone] = zones;
      if (zone !== undefined) return zone.id;
    }
    throw dnsProviderError(
      `no zone of ${name} can be seen at Cloudflare`,
      `the token ${tokenSecret} is valid, and none of the zones it may use holds the name`,
      `give the token the zone, or set another one: holdfast secrets set ${tokenSecret}`,
    );
  };

  const records = async (zone: string, name: string) =>
    RecordsSchema.parse(await call('GET', `/zones/${zone}/dns_records?type=TXT&name=${name}`));

  return {
    check: async (name) => {
      await records(await zoneOf(name), `_acme-challenge.${name}`);
    },
    put: async ({ name, values }: TxtRecord) => {
      const zone = await zoneOf(name);
      for (const content of values) {
        await call('POST', `/zones/${zone}/dns_records`, {
          type: 'TXT',
          name,
          content: `"${content}"`,
          ttl: TTL_SECONDS,
        });
      }
    },
    remove: async ({ name, values }: TxtRecord) => {
      const zone = await zoneOf(name);
      for (const { id, content } of await records(zone, name)) {
        if (!values.includes(content.replaceAll('"', ''))) continue;
        await call('DELETE', `/zones/${zone}/dns_records/${id}`);
      }
    },
  };
}

function refusal(status: number, why: string, tokenSecret: string) {
  const isToken = status === 400 || status === 401 || status === 403;
  return dnsProviderError(
    isToken ? 'Cloudflare does not accept the API token' : 'Cloudflare refuses a DNS change',
    why,
    isToken
      ? `make a token with the permission Zone, DNS, Edit and store it: holdfast secrets set ${tokenSecret}`
      : 'holdfast tries again by itself',
  );
}
