import { normalisePath } from '../rules/resolve-service.ts';
import type { Http } from './section.ts';

/** Bytes: ModSecurity holds a whole body in memory, so routes that take more are left alone. */
const LARGEST_INSPECTED = 64 * 1024 ** 2;

export function hasWaf({ http }: { readonly http: Http }): boolean {
  return http.waf.mode !== 'off';
}

/** The image of the edge: with ModSecurity and its rules only where they are used. */
export function edgeImage(config: { readonly http: Http }): 'nginx' | 'nginx-waf' {
  return hasWaf(config) ? 'nginx-waf' : 'nginx';
}

interface WafRoute {
  readonly path: string;
  readonly rawBody: boolean;
  readonly maxBody?: number | undefined;
}

/** Why the firewall does not look at a route; undefined when it does. */
export function wafLeavesAlone(
  { waf, clientMaxBodySize }: Http,
  { path, rawBody, maxBody = clientMaxBodySize }: WafRoute,
): 'raw' | 'excluded' | 'large' | undefined {
  if (rawBody) return 'raw';
  if (waf.exclude.some((excluded) => normalisePath(excluded) === normalisePath(path))) {
    return 'excluded';
  }
  return maxBody <= LARGEST_INSPECTED ? undefined : 'large';
}
