import { openDnsProvider } from '../acme/dns/open-provider.ts';
import { dnsChallenge } from '../acme/dns-challenge.ts';
import { httpChallenge } from '../acme/http-challenge.ts';
import { type RenewResult, renewCertificates } from '../acme/renew.ts';
import { edgeFolders } from '../components/nginx/places.ts';
import type { AcmeSettings } from '../model/certificate-settings.ts';
import { SecretStore } from '../secrets/store.ts';
import type { CliContext, Server } from './context.ts';

/** A whole run may take this long, seconds: less than the agent gives its job. */
const RUN_SECONDS = 3000;

export interface RenewOptions {
  readonly urgentOnly: boolean;
  readonly force: boolean;
  /** Where proofs are looked for; 80 but in tests. */
  readonly httpPort: number;
  readonly answerSeconds?: number;
}

/** Asks the authority of the config for what is missing or due. */
export async function renewPublic(
  context: CliContext,
  { host }: Server,
  settings: AcmeSettings,
  { httpPort, ...options }: RenewOptions,
): Promise<RenewResult[]> {
  const { paths, now, report } = context;
  const secrets = await new SecretStore(host, paths).all();
  const signal = AbortSignal.any([context.signal, AbortSignal.timeout(RUN_SECONDS * 1000)]);
  const { dns, proxied } = settings;
  return renewCertificates({
    host,
    paths,
    settings,
    secrets,
    signal,
    now,
    ...options,
    openChallenge: async () =>
      dns === undefined
        ? httpChallenge({ host, folder: edgeFolders(paths).challenges, port: httpPort, proxied })
        : dnsChallenge(await openDnsProvider(dns, secrets), signal),
    warn: (text) => report({ kind: 'warning', code: 'certificate/proof-left', text }),
  });
}
