import { posix } from 'node:path';
import type { AgentJob } from '../../model/agent-settings.ts';
import {
  CERTIFICATE_SETTINGS,
  type CertificateSettings,
} from '../../model/certificate-settings.ts';
import type { Component, ComponentInput } from '../component.ts';
import { servedHosts } from '../served-hosts.ts';
import { acmeSecrets, acmeSettings, wantedCertificates } from './settings.ts';

/** What `holdfast certificates renew` works by; nginx serves what it brings. */
export const tls: Component = {
  id: 'tls',
  enabled: () => true,
  needs: (config) => {
    const settings = acmeSettings(config);
    const names = settings === undefined ? [] : acmeSecrets(settings);
    return { secrets: names.map((name) => ({ name, optional: false, usedBy: 'tls' })) };
  },
  contribute: ({ config }) => ({
    jobs: acmeSettings(config) === undefined ? [] : [URGENT_LOOK],
  }),
  collect: (input, collected) => ({
    files: [
      ...(input.acmeAuthority === undefined
        ? []
        : [
            {
              path: AUTHORITY,
              component: 'tls',
              content: { text: input.acmeAuthority },
            },
          ]),
      {
        path: CERTIFICATE_SETTINGS,
        component: 'tls',
        content: {
          text: `${JSON.stringify(certificateSettings(input, servedHosts(input.config, collected)), undefined, 2)}\n`,
        },
      },
    ],
  }),
};

/** Beside the settings on the server, wherever the config came from. */
const AUTHORITY = 'agent/acme-authority.pem';

/** What is missing, failed or near its end does not wait for the daily look. */
const URGENT_LOOK: AgentJob = {
  id: 'certificates-urgent',
  argv: ['certificates', 'renew', '--urgent'],
  cron: '20 * * * *',
  jitterSeconds: 30 * 60,
  catchUp: false,
  timeoutSeconds: 3600,
};

function certificateSettings(
  { config, paths }: ComponentInput,
  served: readonly string[],
): CertificateSettings {
  const acme = acmeSettings(config);
  if (acme === undefined) {
    return { version: 1, source: config.tls.issuer === 'files' ? 'files' : 'private' };
  }
  const { caFile } = acme;
  return {
    version: 1,
    source: 'acme',
    acme: {
      ...acme,
      certificates: wantedCertificates(config, served),
      ...(caFile === undefined ? {} : { caFile: posix.join(paths.stack, AUTHORITY) }),
    },
  };
}
