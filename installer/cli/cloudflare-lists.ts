import { BlockList, isIP } from 'node:net';
import { AppError } from '../errors.ts';

/** Published for exactly this; one network a line. */
export const CLOUDFLARE_LISTS = {
  v4: 'https://www.cloudflare.com/ips-v4',
  v6: 'https://www.cloudflare.com/ips-v6',
} as const;

export type ListUrls = Readonly<Record<keyof typeof CLOUDFLARE_LISTS, string>>;

const ANSWER_SECONDS = 20;
/** A network a line of at most 44 characters: some thousand would fit. */
const LARGEST_LIST = 64 * 1024;

/**
 * What a list may look like. Today it has 15 networks from /12 to /22 and 7 from /29 to /32: twice as wide and many
 * times as long is believed, the whole internet is not.
 */
const BOUNDS = {
  v4: { version: 4, shortest: 10, longest: 24, least: 5, most: 100 },
  v6: { version: 6, shortest: 24, longest: 48, least: 3, most: 100 },
} as const;

/**
 * Networks of Cloudflare's proxies, as published now.
 * @param known those that are trusted so far: half of them must still be there
 * @throws AppError `host/cloudflare-lists` for anything that could open or close the edge by mistake
 */
export async function publishedNetworks(
  known: readonly string[],
  urls: ListUrls = CLOUDFLARE_LISTS,
): Promise<readonly string[]> {
  const [v4, v6] = await Promise.all([readList(urls.v4), readList(urls.v6)]);
  const networks = [...checkedList(v4, 'v4'), ...checkedList(v6, 'v6')];
  const stayed = known.filter((network) => networks.includes(network));
  if (stayed.length * 2 < known.length) {
    throw distrusted(
      `only ${stayed.length} of the ${known.length} networks known so far are on it`,
    );
  }
  return networks;
}

function checkedList(text: string, kind: keyof typeof BOUNDS): readonly string[] {
  const { version, shortest, longest, least, most } = BOUNDS[kind];
  const lines = text.split('\n').map((line) => line.trim());
  const networks = [...new Set(lines.filter((line) => line !== ''))];
  if (networks.length < least || networks.length > most) {
    throw distrusted(`it has ${networks.length} networks, not ${least} to ${most}`);
  }
  for (const network of networks) {
    const [base = '', prefix = '', ...more] = network.split('/');
    const bits = /^\d{1,3}$/.test(prefix) ? Number(prefix) : -1;
    const isFine =
      more.length === 0 && isIP(base) === version && bits >= shortest && bits <= longest;
    if (!isFine || isNobodys(base, version)) {
      throw distrusted(`${JSON.stringify(network.slice(0, 60))} cannot be a network of a proxy`);
    }
  }
  return networks;
}

/** Addresses that no proxy out there has. */
const OURS = new BlockList();
for (const [base, bits] of [
  ['0.0.0.0', 8],
  ['10.0.0.0', 8],
  ['100.64.0.0', 10],
  ['127.0.0.0', 8],
  ['169.254.0.0', 16],
  ['172.16.0.0', 12],
  ['192.168.0.0', 16],
  ['224.0.0.0', 3],
] as const) {
  OURS.addSubnet(base, bits, 'ipv4');
}
/** What the internet uses of IPv6: 2000::/3. */
const GLOBAL_V6 = /^[23][0-9a-f]{3}:/i;

function isNobodys(base: string, version: 4 | 6): boolean {
  return version === 4 ? OURS.check(base, 'ipv4') : !GLOBAL_V6.test(base);
}

async function readList(url: string): Promise<string> {
  try {
    const answer = await fetch(url, {
      redirect: 'error',
      signal: AbortSignal.timeout(ANSWER_SECONDS * 1000),
    });
    if (!answer.ok) throw new Error(`it answered ${answer.status}`);
    const chunks: Uint8Array[] = [];
    let size = 0;
    for await (const chunk of answer.body ?? []) {
      size += chunk.length;
      if (size > LARGEST_LIST) throw new Error('its answer has no end');
      chunks.push(chunk);
    }
    return Buffer.concat(chunks).toString('utf8');
  } catch (cause) {
    const reason = cause instanceof Error ? (cause.cause ?? cause) : cause;
    throw distrusted(`${url}: ${reason instanceof Error ? reason.message : String(reason)}`, cause);
  }
}

function distrusted(why: string, cause?: unknown): AppError {
  return new AppError({
    code: 'host/cloudflare-lists',
    what: 'the list of Cloudflare’s networks is not taken; the one that is trusted so far stays',
    why,
    hint: 'check that this server reaches www.cloudflare.com; holdfast asks again every day',
    cause,
  });
}
