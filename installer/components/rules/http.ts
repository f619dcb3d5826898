import { countingLimits, limitsOfRoute } from '../http/limits.ts';
import { hasWaf, wafLeavesAlone } from '../http/waf.ts';
import { error, type Finding, warning } from './finding.ts';
import { didYouMean } from './nearest.ts';
import { normalisePath } from './resolve-service.ts';
import type { Rule } from './rule.ts';
import { uniqueNames } from './unique-names.ts';

/** What a client shows of itself it can make up: a limit by address bounds how often. */
function* claimedLimits(config: Parameters<Rule>[0]['config']): Generator<Finding> {
  const counting = countingLimits(config.http);
  const byAddress = new Set(counting.flatMap(({ key, name }) => (key === 'ip' ? [name] : [])));
  const onRoutes = Object.values(config.services)
    .flatMap(({ routes }) => routes)
    .map(({ rateLimit }) => limitsOfRoute(config, rateLimit))
    .filter((names) => !names.some((name) => byAddress.has(name)));
  for (const [index, { key, name }] of config.http.rateLimits.entries()) {
    if (!/^(?:header|cookie):/.test(key) || !onRoutes.some((names) => names.includes(name)))
      continue;
    const message =
      'a client may make up as many as it likes: no limit by ip holds on the same route (one that no route names holds on all)';
    yield warning('limit-without-ip', ['http', 'rateLimits', index, 'key'], message);
  }
}

export const limitsAreClear: Rule = function* ({ file, config }) {
  yield* claimedLimits(config);
  const limits = file.http.rateLimits;
  yield* uniqueNames(limits, ['http', 'rateLimits'], 'limit');
  for (const [index, limit] of limits.entries()) {
    const path = ['http', 'rateLimits', index];
    if (limit.key.startsWith('jwt:') && limit.verifyWith === undefined) {
      const message = 'counts nobody until verifyWith names the secret that verifies the token';
      yield warning('jwt-unverified', [...path, 'key'], message);
    }
    if (limit.verifyWith !== undefined && !limit.key.startsWith('jwt:')) {
      yield error('verify-without-jwt', [...path, 'verifyWith'], 'fits a key jwt:<claim> only');
    }
    if (limit.window === 0) {
      yield error('empty-window', [...path, 'window'], 'expected a window longer than nothing');
    }
  }
};

/** Redis holds the counters of limits: one that may forget gives clients more than their limit. */
export const countersLast: Rule = function* ({ config }) {
  const { http, redis } = config;
  if (redis === undefined || countingLimits(http).length === 0) return;
  if (redis.purpose === 'cache') {
    const message =
      'a full memory drops counters of http.rateLimits, and their clients begin anew: use queue, or see that maxMemory is never full';
    yield warning('counters-forgotten', ['redis', 'purpose'], message);
  }
  if (redis.persistence === 'none') {
    const message = 'a restart forgets the counters of http.rateLimits: use aof or rdb';
    yield warning('counters-forgotten', ['redis', 'persistence'], message);
  }
};

/** A firewall that somebody asked for looks at everything that he did not take out himself. */
function* largeRoutes({ http, services }: Parameters<Rule>[0]['config']): Generator<Finding> {
  if (!hasWaf({ http })) return;
  for (const { name, routes } of Object.values(services)) {
    for (const [index, route] of routes.entries()) {
      if (wafLeavesAlone(http, route) !== 'large') continue;
      const message = 'takes bodies over 64m: the firewall leaves the whole route alone';
      yield warning('waf-large-route', ['services', name, 'routes', index], message);
    }
  }
}

export const edgeFiltersFit: Rule = function* ({ file, config }) {
  const { waf, geo, cors } = file.http;
  const paths = new Set(
    Object.values(config.services).flatMap((service) => service.routes.map((route) => route.path)),
  );
  for (const [index, excluded] of waf.exclude.entries()) {
    if (!paths.has(normalisePath(excluded))) {
      const message = `no route ${excluded}${didYouMean(normalisePath(excluded), paths)}`;
      yield error('unknown-route', ['http', 'waf', 'exclude', index], message);
    }
  }
  yield* largeRoutes(config);
  if (geo !== undefined && geo.allow.length > 0 && geo.deny.length > 0) {
    yield error(
      'geo-both',
      ['http', 'geo'],
      'has allow and deny: with one of them the other follows',
    );
  }
  const everybody = cors?.allowOrigins.indexOf('*') ?? -1;
  if (everybody >= 0) {
    const message =
      'lets the pages of every site call, without cookies: the other origins add nothing';
    yield warning('cors-everybody', ['http', 'cors', 'allowOrigins', everybody], message);
  }
};
