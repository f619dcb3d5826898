import type { z } from 'zod';
import { choice, cron, flag, line, mapping, seconds } from '../../config/fields.ts';
import { filePath, secretName } from '../../config/fields-names.ts';
import { hostName, hostNameOrAddress, url } from '../../config/fields-network.ts';

export const tlsSection = mapping(
  {
    issuer: choice(['letsencrypt', 'letsencrypt-staging', 'acme', 'files', 'selfsigned'], {
      description:
        'Who signs the certificates. `selfsigned` makes a private CA on this server; it needs nothing from outside.',
      defaultText:
        'letsencrypt, or selfsigned for localhost and names that the internet does not know',
    }).optional(),
    directory: url({
      description: 'ACME directory, for `issuer: acme`.',
      examples: ['https://acme.example.com/directory'],
    }).optional(),
    caFile: filePath({
      description: 'CA that signed the ACME server itself.',
      examples: ['./acme-ca.pem'],
    }).optional(),
    challenge: choice(['http-01', 'dns-01'], {
      description: 'How to prove that the domain is ours.',
    }).prefault('http-01'),
    dnsProvider: mapping(
      {
        kind: choice(
          ['route53', 'cloudflare', 'ovh', 'hetzner', 'digitalocean', 'gandi', 'rfc2136', 'exec'],
          { description: 'Where the zone is.' },
        ),
        secretRef: secretName({
          description:
            'For `route53` it stands for the secrets `<NAME>_ACCESS_KEY_ID` and `<NAME>_SECRET_ACCESS_KEY`, for `ovh` for `<NAME>_APPLICATION_KEY`, `<NAME>_APPLICATION_SECRET` and `<NAME>_CONSUMER_KEY`; for the others it is the secret with the API token (`cloudflare`) or the TSIG key in base64 (`rfc2136`).',
          examples: ['DNS'],
        }),
        server: hostNameOrAddress({
          description:
            'Primary name server of the zone, for `rfc2136`; for `ovh` the API of the account where it is not `eu.api.ovh.com`.',
          examples: ['ns1.example.com'],
        }).optional(),
        keyName: hostName({
          description: 'Name of the TSIG key, for `rfc2136`.',
          examples: ['holdfast.example.com'],
        }).optional(),
        algorithm: choice(['hmac-sha256', 'hmac-sha384', 'hmac-sha512'], {
          description: 'Of the TSIG key, for `rfc2136`.',
        }).prefault('hmac-sha256'),
      },
      { description: 'Access to the DNS zone, for `challenge: dns-01`.' },
    ).optional(),
    eab: mapping(
      {
        keyId: line({
          description: 'Key identifier that the authority gave you.',
          examples: ['kid-1'],
        }),
        secret: secretName({
          description: 'Secret with its HMAC key, in base64url as the authority gave it.',
          examples: ['ACME_EAB'],
        }),
      },
      {
        description:
          'External account binding: ties the ACME account to one that you have at the authority.',
      },
    ).optional(),
    precheck: flag({
      description:
        'Before the authority is asked, look whether DNS, CAA and port 80 lead here. Off where this server cannot reach its own public address.',
    }).default(true),
    wildcard: flag({
      description: 'One certificate for the domain and *.domain; needs dns-01.',
    }).default(false),
    minVersion: choice(['1.2', '1.3'], {
      description: 'Oldest TLS version that is spoken.',
    }).prefault('1.2'),
    renewAt: cron({ description: 'When to look whether a certificate needs renewal.' }).prefault(
      '0 3 * * *',
    ),
    hsts: mapping(
      {
        maxAge: seconds({ description: 'How long browsers insist on HTTPS.' }).prefault(31_536_000),
        includeSubDomains: flag({ description: 'For all subdomains too.' }).default(false),
        preload: flag({
          description: "Ask for a place in the browsers' built-in list; hard to undo.",
        }).default(false),
      },
      {
        description: 'Strict-Transport-Security header.',
        defaultText: 'one year; with issuer selfsigned, no header',
      },
    ).optional(),
    files: mapping(
      {
        certificate: filePath({
          description: 'PEM file with the certificate and its chain.',
          examples: ['./tls/fullchain.pem'],
        }),
        key: filePath({
          description: 'PEM file with the private key.',
          examples: ['./tls/privkey.pem'],
        }),
      },
      { description: 'Your own certificate, for `issuer: files`.' },
    ).optional(),
  },
  { description: 'Certificates and TLS.' },
).prefault({});

export type TlsInput = z.output<typeof tlsSection>;
