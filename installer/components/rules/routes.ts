import { decodedPath, isBelow, withoutSlash } from '../../model/url-path.ts';
import type { Config, ConfigFile } from '../sections.ts';
import type { RouteInput } from '../services/section.ts';
import { error, type Finding, type PathStep, warning } from './finding.ts';
import { didYouMean } from './nearest.ts';
import { normalisePath } from './resolve-service.ts';
import type { Rule } from './rule.ts';

interface Claim {
  readonly host: string;
  readonly path: string;
  readonly owner: string;
  readonly at: readonly PathStep[];
}

/** A host and a path lead to one place, and the host of an edge cache leads nowhere else at all. */
export const routesAreUnique: Rule = function* ({ file, config }) {
  const taken = new Map<string, Claim>();
  const hosts = new Map<string, string>();
  for (const claim of claims(file, config)) {
    const key = `${claim.host}${decodedPath(claim.path)}`;
    const other = taken.get(key);
    if (other === undefined) taken.set(key, claim);
    else {
      const spelling = other.path === claim.path ? '' : `, as ${other.path}`;
      const message = `${claim.host}${claim.path} already leads to ${other.owner}${spelling}`;
      yield error('duplicate-route', claim.at, message);
    }
    if (!hosts.has(claim.host)) hosts.set(claim.host, `leads to ${claim.owner}`);
  }
  if (!hosts.has(file.domain)) hosts.set(file.domain, 'is the domain');
  for (const [index, { host }] of file.edgeCache.entries()) {
    const use = hosts.get(host);
    if (use === undefined) {
      hosts.set(host, `leads to edgeCache[${index}]`);
      continue;
    }
    const message = `${host} ${use} already: an edge cache needs a host of its own`;
    yield error('duplicate-route', ['edgeCache', index, 'host'], message);
  }
};

/** nginx would show what lies deeper than a closed path, and would not start with two of the same. */
export const downloadsAreOpen: Rule = function* ({ file }) {
  for (const [name, { downloads }] of Object.entries(file.sites)) {
    if (downloads === undefined) continue;
    const at = ['sites', name, 'downloads', 'path'];
    const path = decodedPath(downloads.path) ?? '';
    const denied = file.http.denyPaths.find((deny) => isBelow(path, decodedPath(deny) ?? deny));
    if (denied !== undefined) {
      yield error('closed-path', at, `is closed by ${denied} in http.denyPaths`);
    } else if (withoutSlash(path) === '/metrics') {
      const message = 'is closed on every host, for figures of services: choose another path';
      yield error('closed-path', at, message);
    }
  }
};

function* claims(file: ConfigFile, config: Config): Generator<Claim> {
  for (const [name, { routes }] of Object.entries(config.services)) {
    const home = file.services[name]?.routes === undefined ? ['services', name] : undefined;
    for (const [index, { host, path }] of routes.entries()) {
      const at = home ?? ['services', name, 'routes', index];
      yield { host, path, owner: `service ${name}`, at };
    }
  }
  for (const [name, site] of Object.entries(file.sites)) {
    for (const [index, host] of site.hosts.entries()) {
      yield { host, path: '/', owner: `site ${name}`, at: ['sites', name, 'hosts', index] };
    }
    if (site.downloads !== undefined) {
      const path = normalisePath(site.downloads.path);
      for (const host of site.hosts) {
        const at = ['sites', name, 'downloads', 'path'];
        yield { host, path, owner: `the downloads of site ${name}`, at };
      }
    }
  }
  const { enabled, host } = config.monitoring.grafana;
  if (enabled) yield { host, path: '/', owner: 'Grafana', at: ['monitoring', 'grafana', 'host'] };
}

/** What a route names is there, and there is a port to lead to. */
export const routesLeadSomewhere: Rule = function* ({ file, config, declared }) {
  for (const [name, service] of Object.entries(file.services)) {
    const port = config.services[name]?.port;
    if (service.routes !== undefined && service.routes.length > 0 && port === undefined) {
      yield error(
        'route-without-port',
        ['services', name, 'routes'],
        'the service has routes but no port',
      );
    }
    for (const [index, route] of (service.routes ?? []).entries()) {
      yield* knownLimit(route, ['services', name, 'routes', index], declared.rateLimits);
    }
  }
  for (const [name, profile] of Object.entries(file.profiles)) {
    for (const [index, route] of (profile.routes ?? []).entries()) {
      yield* knownLimit(route, ['profiles', name, 'routes', index], declared.rateLimits);
    }
  }
};

function* knownLimit(
  route: RouteInput,
  path: readonly PathStep[],
  limits: readonly string[],
): Generator<Finding> {
  if (route.rateLimit === undefined || limits.includes(route.rateLimit)) return;
  const message = `no limit ${route.rateLimit} in http.rateLimits${didYouMean(route.rateLimit, limits)}`;
  yield error('unknown-rate-limit', [...path, 'rateLimit'], message);
}

/** The domain itself answers something, at its root too unless each service says that it has no routes. */
export const domainAnswers: Rule = function* ({ file, merged, config }) {
  const leadsTo = [...claims(file, config)].filter(({ owner }) => owner !== 'Grafana');
  const total = Object.keys(file.services).length + Object.keys(file.sites).length;
  if (total === 0) {
    yield error('nothing-to-run', [], 'needs at least one service or site');
  } else if (leadsTo.length === 0 && Object.values(config.services).some(({ port }) => port)) {
    const message = 'nothing is routed: no service or site answers requests from outside';
    yield warning('nothing-routed', ['domain'], message);
  } else if (!leadsTo.some(({ host, path }) => host === file.domain && path === '/')) {
    // The only service with a port leads there unsaid until another one gets a route, or a site comes.
    const unsaid = Object.entries(merged).flatMap(([name, { port, routes }]) =>
      port !== undefined && routes === undefined ? [`services.${name}`] : [],
    );
    if (unsaid.length === 0) return;
    const have = unsaid.length === 1 ? 'has' : 'have';
    const message = `${file.domain}/ leads nowhere, and ${unsaid.join(', ')} ${have} a port and no routes: write \`routes: [{ path: / }]\`, or \`routes: []\` where none is meant`;
    yield warning('root-unrouted', ['domain'], message);
  }
};
