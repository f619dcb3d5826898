import type { Config, ConfigFile } from '../sections.ts';
import type { RateLimit } from './section.ts';

/** Whether a limit can ever count anybody. A token that nothing verifies says nothing. */
function counts({ key, verifyWith }: RateLimit): boolean {
  return !key.startsWith('jwt:') || verifyWith !== undefined;
}

/** Limits that count somebody, in the order of the config. */
export function countingLimits(http: ConfigFile['http']): readonly RateLimit[] {
  return http.rateLimits.filter(counts);
}

/** Limits that no route names: they hold for every proxied route of every host. */
export function globalLimits(config: Config): readonly string[] {
  const named = new Set(
    Object.values(config.services).flatMap(({ routes }) => routes.map((route) => route.rateLimit)),
  );
  return countingLimits(config.http)
    .map(({ name }) => name)
    .filter((name) => !named.has(name));
}

/** Names of the limits that hold for a route, given the one that it names. */
export function limitsOfRoute(config: Config, named: string | undefined): readonly string[] {
  const own = countingLimits(config.http).filter(({ name }) => name === named);
  return [...globalLimits(config), ...own.map(({ name }) => name)];
}
