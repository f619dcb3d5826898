import { error, warning } from './finding.ts';
import { isPrivateName } from './resolve.ts';
import type { Rule } from './rule.ts';

const ONE_YEAR = 31_536_000;

/** What the chosen issuer needs is there. A private CA needs nothing, so that nothing is asked of it. */
export const issuerIsComplete: Rule = function* ({ file, config }) {
  const { tls } = file;
  const issuer = config.tls.issuer;
  if (issuer === 'files' && tls.files === undefined) {
    yield error('tls-files', ['tls', 'issuer'], 'files needs tls.files with certificate and key');
  }
  if (issuer === 'acme' && tls.directory === undefined) {
    yield error(
      'acme-directory',
      ['tls', 'issuer'],
      'acme needs tls.directory, the URL of the ACME server',
    );
  }
  if (issuer === 'selfsigned' || issuer === 'files') return;
  if (issuer !== 'acme' && isPrivateName(file.domain)) {
    const message = `${issuer} does not sign for ${file.domain}: use selfsigned`;
    yield error('private-name', ['tls', 'issuer'], message);
  }
  if (tls.wildcard && tls.challenge !== 'dns-01') {
    yield error(
      'wildcard-challenge',
      ['tls', 'wildcard'],
      'needs challenge dns-01: http-01 cannot prove a wildcard',
    );
  }
  if (tls.challenge === 'dns-01' && tls.dnsProvider === undefined) {
    yield error('dns-provider', ['tls', 'challenge'], 'dns-01 needs tls.dnsProvider');
  }
  if (tls.challenge === 'dns-01' && tls.dnsProvider?.kind === 'rfc2136') {
    for (const key of ['server', 'keyName'] as const) {
      if (tls.dnsProvider[key] !== undefined) continue;
      yield error('dns-provider', ['tls', 'dnsProvider'], `rfc2136 needs tls.dnsProvider.${key}`);
    }
  }
  if (tls.challenge === 'http-01' && !file.firewall.public.includes(80)) {
    yield error(
      'http-01-closed',
      ['firewall', 'public'],
      'http-01 needs port 80: add it, or use dns-01',
    );
  }
};

/** Keys that only `issuer: acme` reads; what else is asked by an ACME server is of Let's Encrypt. */
const KEYS_OF_ACME = ['directory', 'caFile', 'eab'] as const;

/**
 * What is written has an effect. Where a word is missing another authority would be asked, or none: that is an error.
 * Where somebody wrote an issuer that asks nobody for proofs, what is said about them may stay, with a note.
 */
export const tlsKeysAreRead: Rule = function* ({ file, config }) {
  const { tls } = file;
  const { issuer } = config.tls;
  const isWritten = tls.issuer === 'selfsigned' || tls.issuer === 'files';
  const present = (keys: readonly (keyof typeof tls)[]) =>
    keys.filter((key) => tls[key] !== undefined);
  const unread = [
    ...(issuer === 'acme' ? [] : present(KEYS_OF_ACME).map((key) => [key, 'acme'] as const)),
    ...(issuer === 'files' ? [] : present(['files']).map((key) => [key, 'files'] as const)),
  ];
  for (const [key, wanted] of unread) {
    if (isWritten) yield ignored(key, issuer);
    else {
      const message = `has no effect with issuer ${issuer}: write \`issuer: ${wanted}\`, or take it out`;
      yield error('tls-unread', ['tls', key], message);
    }
  }
  if (issuer === 'selfsigned' || issuer === 'files') {
    if (tls.challenge === 'dns-01') yield ignored('challenge', issuer);
    if (tls.dnsProvider !== undefined) yield ignored('dnsProvider', issuer);
    if (tls.wildcard) yield ignored('wildcard', issuer);
  } else if (tls.dnsProvider !== undefined && tls.challenge !== 'dns-01') {
    const message =
      'has no effect with challenge http-01: write `challenge: dns-01`, or take it out';
    yield error('tls-unread', ['tls', 'dnsProvider'], message);
  }
};

function ignored(key: string, issuer: string) {
  return warning('ignored', ['tls', key], `has no effect with issuer ${issuer}`);
}

/** HSTS preload is hard to undo, and the browsers' list asks for all subdomains and a year. */
export const hstsIsMeant: Rule = function* ({ file }) {
  const hsts = file.tls.hsts;
  if (hsts === undefined || !hsts.preload) return;
  const path = ['tls', 'hsts', 'preload'];
  if (!hsts.includeSubDomains) {
    yield error('preload-subdomains', path, 'needs includeSubDomains: true');
  } else if (hsts.maxAge < ONE_YEAR) {
    yield error('preload-max-age', path, `needs a maxAge of at least ${ONE_YEAR} seconds, a year`);
  } else {
    yield warning('preload', path, 'takes months to undo once the browsers have listed the domain');
  }
};
