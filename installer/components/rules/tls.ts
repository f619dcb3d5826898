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

/** A private CA signs whatever it likes: what is said about proofs has no effect. */
export const selfsignedIsPlain: Rule = function* ({ file, config }) {
  if (config.tls.issuer !== 'selfsigned') return;
  const { challenge, dnsProvider, wildcard } = file.tls;
  const ignored = [
    ['challenge', challenge === 'dns-01'],
    ['dnsProvider', dnsProvider !== undefined],
    ['wildcard', wildcard],
  ] as const;
  for (const [key, isSet] of ignored) {
    if (isSet) yield warning('ignored', ['tls', key], 'has no effect with issuer selfsigned');
  }
};

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
