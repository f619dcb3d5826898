import type { Collected } from './component.ts';
import { cacheHosts } from './edge-cache/origins.ts';
import type { Config } from './sections.ts';

/** Hosts that nginx answers, sorted, each once: each has a server block and needs a certificate. */
export function servedHosts(
  config: Config,
  { routes, siteHosts }: Pick<Collected, 'routes' | 'siteHosts'>,
): string[] {
  const served = [...routes, ...siteHosts, ...cacheHosts(config)].map(({ host }) => host);
  return [...new Set(served)].sort();
}
