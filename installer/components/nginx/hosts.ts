import type { Route } from '../../model/contribution.ts';
import type { SiteHost } from '../../model/site.ts';
import { decodedPath, isBelow, withoutSlash } from '../../model/url-path.ts';
import { limitsOfRoute } from '../http/limits.ts';
import { hasWaf, wafLeavesAlone } from '../http/waf.ts';
import type { Config } from '../sections.ts';
import { type Guards, isWithin, plainSpelling, quoted, refusedSpellings } from './spellings.ts';

/** Closed on every host unless a route names it: figures of a service are nobody else's business. */
const CLOSED_BY_DEFAULT = ['/metrics'];

/** One `location` of a server block. */
export interface Location {
  readonly path: string;
  /** Only this very path, not what is below it. */
  readonly exact: boolean;
  readonly service: string;
  readonly port: number;
  /** Regular expression whose first group is what the service shall see after the slash; absent keeps the path. */
  readonly strip: string | undefined;
  readonly websocket: boolean;
  readonly sticky: 'ip' | 'cookie' | undefined;
  readonly rawBody: boolean;
  /** Bytes; the edge's default when absent. */
  readonly maxBody: number | undefined;
  readonly allowFrom: readonly string[];
  /** Name of the secret with users and passwords. */
  readonly basicAuth: string | undefined;
  /** Names of the limits of requests that hold here. */
  readonly limits: readonly string[];
  /** Whether the web application firewall looks at requests. */
  readonly inspected: boolean;
  /** Regular expression that a request's path has to match as it came. */
  readonly plainly: string | undefined;
}

export interface HostBlock {
  readonly host: string;
  /** Regular expressions for decoded paths that answer 404. */
  readonly refused: readonly string[];
  readonly locations: readonly Location[];
  /** The site of this host, in what no route takes. */
  readonly site: SiteHost | undefined;
  readonly hasRoot: boolean;
}

/** One block for each host, sorted. The domain has none where nothing leads: it may belong to another server. */
export function hostBlocks(
  config: Config,
  routes: readonly Route[],
  sites: readonly SiteHost[],
): HostBlock[] {
  const hosts = new Set([...routes, ...sites].map(({ host }) => host));
  const denied = deniedPaths(config);
  return [...hosts].sort().map((host) => {
    const own = routes.filter((route) => route.host === host);
    const open = own
      .filter(({ path }) => !denied.some((deny) => isWithin(prefixOf(path), deny)))
      .toSorted((a, b) => (a.path < b.path ? -1 : 1))
      .map((route) => ({ route, ...guardedPath(route, config) }));
    const ownSite = sites.find((each) => each.host === host);
    const downloads = ownSite?.redirectTo === undefined ? ownSite?.downloads?.path : undefined;
    // What a route or a site's downloads name is open.
    const named = new Set([...open.map(({ path }) => path), prefixOf(downloads ?? '/')]);
    const metrics = metricsPaths(config, own).map(withoutSlash);
    const closed = [...denied, ...metrics.filter((path) => !named.has(path))];
    const site = closed.includes('') ? undefined : ownSite;
    return {
      host,
      refused: refusedSpellings([...new Set(closed)].sort(), open, site !== undefined),
      locations: open.flatMap(({ route, ...guarded }) =>
        locationsOf(route, config, guarded, plainSpelling(guarded, open)),
      ),
      site,
      hasRoot: site !== undefined || open.some(({ path }) => path === ''),
    };
  });
}

/** Regular expressions for the decoded paths that a host without routes answers with 404. */
export function refusedOnEveryHost(config: Config): string[] {
  const denied = deniedPaths(config);
  // All but our own pages.
  if (denied.includes('')) return ['^/(?!\\.holdfast/)'];
  return refusedSpellings([...new Set([...denied, ...CLOSED_BY_DEFAULT])].sort(), [], false);
}

function deniedPaths({ http }: Config): string[] {
  return http.denyPaths.map(prefixOf);
}

function prefixOf(path: string): string {
  return withoutSlash(decoded(path));
}

function guardedPath(route: Route, config: Config) {
  const written = writtenRoute(route, config);
  return {
    path: prefixOf(route.path),
    written: withoutSlash(route.path),
    allowFrom: route.allowFrom,
    basicAuth: written?.basicAuth,
    limits: limitsOfRoute(config, written?.rateLimit),
    inspected: hasWaf(config) && wafLeavesAlone(config.http, route) === undefined,
  };
}

/** nginx takes the longest prefix, so only the two spellings of a folder need words here. */
function locationsOf(
  route: Route,
  config: Config,
  { allowFrom, basicAuth, limits, inspected }: Guards,
  plainly: string | undefined,
): Location[] {
  const folder = decoded(route.path);
  const location = {
    service: route.service,
    port: route.port,
    strip: route.strip && folder !== '/' ? `(?s)^${quoted(withoutSlash(folder))}/?(.*)` : undefined,
    websocket: route.websocket,
    sticky: stickyOf(route, config),
    rawBody: route.rawBody,
    maxBody: route.maxBody,
    allowFrom,
    basicAuth,
    limits,
    inspected,
    plainly,
  };
  const below = { ...location, path: folder, exact: false };
  // Without it nginx would answer /api with a redirect to /api/.
  return folder === '/'
    ? [below]
    : [{ ...location, path: withoutSlash(folder), exact: true }, below];
}

/** With one replica there is no choice; parts of a WebSocket's session that come by other requests must meet again. */
function stickyOf(
  { service, sticky, websocket }: Route,
  config: Config,
): 'ip' | 'cookie' | undefined {
  const replicas = config.services[service]?.replicas.max ?? 1;
  return replicas > 1 ? (sticky ?? (websocket ? 'ip' : undefined)) : undefined;
}

/** What the config says about the route, which is nothing for a component of ours. */
function writtenRoute({ service, host, path }: Route, config: Config) {
  return config.services[service]?.routes.find(
    (route) => route.host === host && withoutSlash(route.path) === withoutSlash(path),
  );
}

/** Where metrics of services would show, as a browser sees the path. */
function metricsPaths(config: Config, routes: readonly Route[]): string[] {
  const declared = routes.flatMap(({ service, port, path, strip }) => {
    const metrics = config.services[service]?.metrics;
    if (metrics === undefined || metrics.port !== port || metrics.path === '/') return [];
    return [decoded(strip ? withoutSlash(path) + metrics.path : metrics.path)];
  });
  const byDefault = CLOSED_BY_DEFAULT.filter(
    (closed) => !routes.some(({ path }) => isBelow(decoded(path), closed)),
  );
  return [...declared, ...byDefault];
}

function decoded(path: string): string {
  return decodedPath(path) ?? path;
}
