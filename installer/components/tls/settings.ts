import type { AcmeSettings, DnsSettings } from '../../model/certificate-settings.ts';
import { isPrivateName } from '../rules/resolve.ts';
import type { Config } from '../sections.ts';

const DIRECTORIES: Readonly<Record<string, string>> = {
  letsencrypt: 'https://acme-v02.api.letsencrypt.org/directory',
  'letsencrypt-staging': 'https://acme-staging-v02.api.letsencrypt.org/directory',
};

/**
 * What is asked of a public authority; undefined where none is. The path of `caFile` is as written.
 */
export function acmeSettings(config: Config): Omit<AcmeSettings, 'certificates'> | undefined {
  const { tls } = config;
  const directory = tls.issuer === 'acme' ? tls.directory : DIRECTORIES[tls.issuer];
  if (directory === undefined) return undefined;
  const dns = tls.challenge === 'dns-01' ? dnsSettings(tls.dnsProvider) : undefined;
  if (tls.challenge === 'dns-01' && dns === undefined) return undefined;
  return {
    directory,
    ...(tls.caFile === undefined ? {} : { caFile: tls.caFile }),
    contact: config.contact,
    ...(tls.eab === undefined ? {} : { eab: tls.eab }),
    ...(dns === undefined ? {} : { dns }),
    proxied: config.http.realIp !== 'none',
    precheck: tls.precheck,
  };
}

/**
 * One certificate a host, so that a name that cannot be proved takes no other down; a wildcard for the
 * domain and what is directly below it.
 */
export function wantedCertificates(
  { domain, tls, monitoring: { grafana }, services }: Config,
  served: readonly string[],
): AcmeSettings['certificates'] {
  const hosts = served.filter((host) => tls.issuer === 'acme' || !isPrivateName(host));
  const isCovered = (host: string): boolean =>
    tls.wildcard && (host === domain || isDirectlyBelow(host, domain));
  const routed = Object.values(services).flatMap(({ routes }) => routes.map(({ host }) => host));
  const isUnasked = (host: string): boolean =>
    host === grafana.host && !grafana.isHostWritten && !routed.includes(host);
  return [
    ...(tls.wildcard ? [{ name: domain, hosts: [domain, `*.${domain}`] }] : []),
    ...hosts
      .filter((host) => !isCovered(host))
      .map((host) => ({
        name: host,
        hosts: [host],
        ...(isUnasked(host) ? { isUnasked: true as const } : {}),
      })),
  ];
}

function isDirectlyBelow(host: string, domain: string): boolean {
  return host.endsWith(`.${domain}`) && !host.slice(0, -domain.length - 1).includes('.');
}

type DnsProviderConfig = NonNullable<Config['tls']['dnsProvider']>;

function dnsSettings(provider: DnsProviderConfig | undefined): DnsSettings | undefined {
  switch (provider?.kind) {
    case 'cloudflare':
      return { kind: 'cloudflare', tokenSecret: provider.secretRef };
    case 'route53':
      return {
        kind: 'route53',
        accessKeyIdSecret: `${provider.secretRef}_ACCESS_KEY_ID`,
        secretAccessKeySecret: `${provider.secretRef}_SECRET_ACCESS_KEY`,
      };
    case 'ovh':
      return {
        kind: 'ovh',
        secretRef: provider.secretRef,
        applicationKeySecret: `${provider.secretRef}_APPLICATION_KEY`,
        applicationSecretSecret: `${provider.secretRef}_APPLICATION_SECRET`,
        consumerKeySecret: `${provider.secretRef}_CONSUMER_KEY`,
        server: provider.server ?? 'eu.api.ovh.com',
      };
    case 'rfc2136': {
      const { server, keyName, algorithm, secretRef: keySecret } = provider;
      return server === undefined || keyName === undefined
        ? undefined
        : { kind: 'rfc2136', server, keyName, algorithm, keySecret };
    }
    default:
      return undefined;
  }
}

/** Names of the secrets that renewing needs. */
export function acmeSecrets({ dns, eab }: Pick<AcmeSettings, 'dns' | 'eab'>): string[] {
  const own = eab === undefined ? [] : [eab.secret];
  switch (dns?.kind) {
    case 'cloudflare':
      return [...own, dns.tokenSecret];
    case 'route53':
      return [...own, dns.accessKeyIdSecret, dns.secretAccessKeySecret];
    case 'ovh':
      return [...own, dns.applicationKeySecret, dns.applicationSecretSecret, dns.consumerKeySecret];
    case 'rfc2136':
      return [...own, dns.keySecret];
    default:
      return own;
  }
}
