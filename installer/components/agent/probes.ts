import type { Probe } from '../../model/contribution.ts';
import type { Service } from '../rules/resolved.ts';
import type { Config } from '../sections.ts';

const EVERY_SECONDS = 60;
const TIMEOUT_SECONDS = 10;

/** The probes of the config, those of other components, and one for each service that has a health path. */
export function allProbes(config: Config, contributed: readonly Probe[]): Probe[] {
  const configured = config.monitoring.probes.map(
    ({ name, url, every, expectBody, certExpiryDays }): Probe => ({
      name,
      url,
      everySeconds: Math.max(every, 1),
      timeoutSeconds: TIMEOUT_SECONDS,
      ...(expectBody === undefined ? {} : { expectBody }),
      certExpiryDays,
    }),
  );
  const services = Object.values(config.services).flatMap((service) => serviceProbe(service));
  // The user's own words go before ours when a name is taken twice.
  const byName = new Map(
    [...services, ...contributed, ...configured].map((one) => [one.name, one]),
  );
  return [...byName.values()].sort((left, right) => (left.name < right.name ? -1 : 1));
}

function serviceProbe({ name, health, routes }: Service): Probe[] {
  const { path, expect } = health;
  if (path === undefined) return [];
  for (const route of routes) {
    // Behind a password or a list of networks the agent itself is a stranger.
    if (route.basicAuth !== undefined || route.allowFrom.length > 0) continue;
    const prefix = route.path.replace(/\/$/, '');
    const publicPath = route.strip ? `${prefix}${path}` : path;
    if (!publicPath.startsWith(`${prefix}/`)) continue;
    return [
      {
        name,
        url: `https://${route.host}${publicPath}`,
        everySeconds: EVERY_SECONDS,
        timeoutSeconds: TIMEOUT_SECONDS,
        ...(expect === undefined ? {} : { expectBody: expect }),
      },
    ];
  }
  return [];
}
