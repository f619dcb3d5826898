import { contentSecurityPolicy } from '../nginx/security-headers.ts';
import { error, warning } from './finding.ts';
import { didYouMean } from './nearest.ts';
import type { Rule } from './rule.ts';

/** Of CSP level 3 and the levels before it that browsers still follow. */
const DIRECTIVES: ReadonlySet<string> = new Set([
  'base-uri',
  'block-all-mixed-content',
  'child-src',
  'connect-src',
  'default-src',
  'fenced-frame-src',
  'font-src',
  'form-action',
  'frame-ancestors',
  'frame-src',
  'img-src',
  'manifest-src',
  'media-src',
  'object-src',
  'prefetch-src',
  'report-to',
  'report-uri',
  'require-trusted-types-for',
  'sandbox',
  'script-src',
  'script-src-attr',
  'script-src-elem',
  'style-src',
  'style-src-attr',
  'style-src-elem',
  'trusted-types',
  'upgrade-insecure-requests',
  'worker-src',
]);

/** Sources that let anybody's script run, with what they do. */
const OPEN_SOURCES: ReadonlyMap<string, string> = new Map([
  ["'unsafe-inline'", 'lets injected scripts run: use a nonce or a hash'],
  ["'unsafe-eval'", 'lets injected text run as a script'],
  ['*', 'lets scripts of every site run: name the hosts'],
  ['http:', 'lets scripts of every site run: name the hosts'],
  ['https:', 'lets scripts of every site run: name the hosts'],
  ['data:', 'lets injected scripts run from a data: URL'],
  ['blob:', 'lets injected scripts run from a blob: URL'],
]);

/** A policy says what its writer thinks that it says. */
export const policyIsStrict: Rule = function* ({ file }) {
  const { csp, cspReportOnly } = file.http;
  const at = ['http', 'csp'];
  const names = Object.keys(csp);
  if (names.length === 0) {
    if (cspReportOnly) {
      const message = 'has no effect without http.csp';
      yield warning('csp-empty', ['http', 'cspReportOnly'], message);
    }
    return;
  }
  for (const name of names) {
    if (DIRECTIVES.has(name)) continue;
    const message = `no browser knows this directive${didYouMean(name, DIRECTIVES)}`;
    yield { ...warning('csp-unknown-directive', [...at, name], message), at: 'key' };
  }
  const default_ = csp['default-src'];
  if (default_ === undefined && csp['script-src'] === undefined) {
    const message = 'has neither default-src nor script-src: scripts of every site run';
    yield warning('csp-no-default', at, message);
  } else if (default_ === undefined) {
    const message = 'has no default-src: what no directive names may come from anywhere';
    yield warning('csp-no-default', at, message);
  }
  for (const directive of ['script-src', 'script-src-elem', 'script-src-attr', 'default-src']) {
    // Scripts fall back to default-src only where script-src says nothing.
    if (directive === 'default-src' && csp['script-src'] !== undefined) continue;
    for (const [index, source] of (csp[directive] ?? []).entries()) {
      const effect = OPEN_SOURCES.get(source.toLowerCase());
      if (effect === undefined) continue;
      yield warning('csp-open', [...at, directive, index], `${source} ${effect}`);
    }
  }
};

/** A parameter of nginx's has 4096 bytes with its quotation marks. */
const LONGEST_POLICY = 4000;

export const policyFits: Rule = function* ({ file }) {
  const bytes = Buffer.byteLength(contentSecurityPolicy(file.http.csp));
  if (bytes <= LONGEST_POLICY) return;
  const message = `makes a header of ${bytes} bytes: at most ${LONGEST_POLICY} fit`;
  yield error('csp-too-long', ['http', 'csp'], message);
};
