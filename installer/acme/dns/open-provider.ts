import { AppError } from '../../errors.ts';
import type { DnsSettings } from '../../model/certificate-settings.ts';
import type { Secret } from '../../model/secret.ts';
import { cloudflare } from './cloudflare.ts';
import { ovh } from './ovh.ts';
import type { DnsProvider } from './provider.ts';
import { rfc2136 } from './rfc2136.ts';
import { route53 } from './route53.ts';

/** @param secrets the stored values by name */
export async function openDnsProvider(
  settings: DnsSettings,
  secrets: ReadonlyMap<string, Secret>,
): Promise<DnsProvider> {
  const value = (name: string): Secret => storedSecret(secrets, name);
  switch (settings.kind) {
    case 'cloudflare':
      return cloudflare(value(settings.tokenSecret), settings.tokenSecret);
    case 'route53':
      return route53({
        accessKeyId: value(settings.accessKeyIdSecret),
        secretAccessKey: value(settings.secretAccessKeySecret),
        secretName: settings.secretAccessKeySecret,
      });
    case 'ovh':
      return ovh({
        applicationKey: value(settings.applicationKeySecret),
        applicationSecret: value(settings.applicationSecretSecret),
        consumerKey: value(settings.consumerKeySecret),
        secretRef: settings.secretRef,
        api: `https://${settings.server}/1.0`,
      });
    case 'rfc2136':
      return rfc2136({
        ...settings,
        key: value(settings.keySecret),
        secretName: settings.keySecret,
      });
  }
}

/** @throws AppError `secret/missing-for-certificate` */
export function storedSecret(secrets: ReadonlyMap<string, Secret>, name: string): Secret {
  const value = secrets.get(name);
  if (value !== undefined) return value;
  throw new AppError({
    code: 'secret/missing-for-certificate',
    what: `the secret ${name} has no value, and certificates cannot be renewed without it`,
    hint: `holdfast secrets set ${name}`,
  });
}
