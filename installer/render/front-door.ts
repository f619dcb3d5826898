import type { HostBlock, Location } from '../components/nginx/hosts.ts';
import type { HttpCheck, Route } from '../model/contribution.ts';
import type { FrontDoorCheck } from '../model/desired.ts';
import { decodedPath, isBelow, withoutSlash } from '../model/url-path.ts';

/**
 * For each route, the health path of its service as a client would ask for it. Not where nginx leads that path
 * elsewhere or closes it, nor where a route lets in only some addresses, asks for a password or leads to another port.
 * @param blocks what nginx is told of each host
 */
export function frontDoorChecks(
  blocks: readonly HostBlock[],
  routes: readonly Route[],
  checks: readonly HttpCheck[],
): FrontDoorCheck[] {
  return routes.flatMap((route) => {
    const check = checks.find(
      ({ service, port }) => service === route.service && port === route.port,
    );
    const isGuarded = route.allowFrom.length > 0 || route.asksPassword === true;
    if (check === undefined || isGuarded) return [];
    const path = pathThrough(route, check.path);
    const block = blocks.find(({ host }) => host === route.host);
    if (path === undefined || block === undefined || !isServedBy(route, block, path)) return [];
    const { service, expect, timeoutSeconds } = check;
    return [
      { service, host: route.host, path, timeoutSeconds, ...(expect !== undefined && { expect }) },
    ];
  });
}

/** The first page of each site, on every host that shows it. */
export function siteChecks(blocks: readonly HostBlock[]): FrontDoorCheck[] {
  return blocks.flatMap(({ host, site, locations }) => {
    const isShown = site !== undefined && site.redirectTo === undefined;
    return isShown && locationOf(locations, '/') === undefined ? [{ host, path: '/' }] : [];
  });
}

function pathThrough({ path, strip }: Route, healthPath: string): string | undefined {
  if (strip) return `${withoutSlash(path)}${healthPath}`;
  return isBelow(healthPath, path) ? healthPath : undefined;
}

function isServedBy(route: Route, { refused, locations }: HostBlock, path: string): boolean {
  const asked = decoded(path);
  if (refused.some((spelling) => matches(spelling, asked))) return false;
  const found = locationOf(locations, asked);
  return found !== undefined && withoutSlash(found.path) === withoutSlash(decoded(route.path));
}

/** As nginx chooses it: the very path, else the longest prefix. */
function locationOf(locations: readonly Location[], path: string): Location | undefined {
  const [longest] = locations
    .filter((one) => !one.exact && path.startsWith(one.path))
    .toSorted((a, b) => b.path.length - a.path.length);
  return locations.find((one) => one.exact && one.path === path) ?? longest;
}

/** @param spelling as nginx writes the end of a text */
function matches(spelling: string, path: string): boolean {
  const ours = spelling.replace(/\\[\s\S]/g, (pair) => (pair === '\\z' ? '$' : pair));
  return new RegExp(ours).test(path);
}

function decoded(path: string): string {
  return decodedPath(path) ?? path;
}
