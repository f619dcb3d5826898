import type { HttpCheck, Route } from '../model/contribution.ts';
import type { FrontDoorCheck } from '../model/desired.ts';
import type { SiteHost } from '../model/site.ts';

/**
 * For each route, the health path of its service as a client would ask for it; a route that does not lead
 * to that path, lets in only some addresses or asks for a password cannot be asked, and neither can a closed path.
 */
export function frontDoorChecks(
  routes: readonly Route[],
  checks: readonly HttpCheck[],
  closedPaths: readonly string[],
): FrontDoorCheck[] {
  return routes.flatMap((route) => {
    const check = checks.find(({ service }) => service === route.service);
    const isGuarded = route.allowFrom.length > 0 || route.asksPassword === true;
    if (check === undefined || isGuarded) return [];
    const path = pathThrough(route, check.path);
    const isShadowed = routes.some(
      (other) =>
        other.host === route.host &&
        other.path.length > route.path.length &&
        path?.startsWith(other.path),
    );
    if (path === undefined || isShadowed || isClosed(path, closedPaths)) return [];
    const { service, expect } = check;
    return [{ service, host: route.host, path, ...(expect === undefined ? {} : { expect }) }];
  });
}

/** The first page of each site, on every host that shows it. */
export function siteChecks(
  hosts: readonly SiteHost[],
  closedPaths: readonly string[],
): FrontDoorCheck[] {
  if (isClosed('/', closedPaths)) return [];
  return hosts.flatMap(({ host, redirectTo }) =>
    redirectTo === undefined ? [{ host, path: '/' }] : [],
  );
}

function pathThrough({ path, strip }: Route, healthPath: string): string | undefined {
  if (strip) return `${path.replace(/\/$/, '')}${healthPath}`;
  return healthPath.startsWith(path) ? healthPath : undefined;
}

function isClosed(path: string, closedPaths: readonly string[]): boolean {
  return closedPaths.some((closed) => {
    const bare = closed.replace(/\/$/, '');
    return path === bare || path.startsWith(`${bare}/`);
  });
}
