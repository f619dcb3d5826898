import { CLOUDFLARE_NETWORKS } from '../cloudflare.ts';
import type { Config } from '../sections.ts';

export interface RealIp {
  /** Proxies whose word about the client's address is believed. */
  readonly trusted: readonly string[];
  readonly header: string;
}

/** Where the client's address stands: nowhere but in the connection, unless proxies are named. */
export function realIp(
  setting: Config['http']['realIp'],
  cloudflare: readonly string[] = CLOUDFLARE_NETWORKS,
): RealIp {
  if (setting === 'none') return { trusted: [], header: 'X-Forwarded-For' };
  if (setting === 'cloudflare') return { trusted: cloudflare, header: 'CF-Connecting-IP' };
  return { trusted: setting, header: 'X-Forwarded-For' };
}
