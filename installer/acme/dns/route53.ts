import type { Change } from '@aws-sdk/client-route-53';
import type { Secret } from '../../model/secret.ts';
import { dnsProviderError } from './dns-error.ts';
import { type DnsProvider, type TxtRecord, zoneCandidates } from './provider.ts';

const TTL_SECONDS = 30;
const ATTEMPTS = 3;

export interface Route53Options {
  readonly accessKeyId: Secret;
  readonly secretAccessKey: Secret;
  /** Name of the secret, for messages. */
  readonly secretName: string;
  /** Base URL; theirs when absent. */
  readonly endpoint?: string;
}

/** Zones at Amazon Route 53. */
export async function route53(options: Route53Options): Promise<DnsProvider> {
  const {
    Route53Client,
    ListHostedZonesByNameCommand,
    ChangeResourceRecordSetsCommand,
    waitUntilResourceRecordSetsChanged,
  } = await import('@aws-sdk/client-route-53');
  const client = new Route53Client({
    // Their service has one region, whatever the zone.
    region: 'us-east-1',
    credentials: {
      accessKeyId: options.accessKeyId.reveal(),
      secretAccessKey: options.secretAccessKey.reveal(),
    },
    maxAttempts: ATTEMPTS,
    ...(options.endpoint === undefined ? {} : { endpoint: options.endpoint }),
  });

  const told = async <T>(work: () => Promise<T>): Promise<T> => {
    try {
      return await work();
    } catch (error) {
      throw asDnsError(error, options.secretName);
    }
  };

  const zoneOf = async (name: string): Promise<string> => {
    for (const candidate of zoneCandidates(name)) {
      // Not the first one alone: with split horizon a private zone of the same name may come before.
      const found = await client.send(new ListHostedZonesByNameCommand({ DNSName: candidate }));
      const zone = found.HostedZones?.find(
        ({ Name, Config }) => Name === `${candidate}.` && Config?.PrivateZone !== true,
      );
      if (zone?.Id !== undefined) return zone.Id.replace(/^\/hostedzone\//, '');
    }
    throw dnsProviderError(
      `no public zone of ${name} can be seen at Route 53`,
      'the credentials are valid, and none of their zones holds the name',
      `use the account that has the zone: holdfast secrets set ${options.secretName}`,
    );
  };

  const change = async (action: Change['Action'], { name, values }: TxtRecord): Promise<void> => {
    const { ChangeInfo } = await client.send(
      new ChangeResourceRecordSetsCommand({
        HostedZoneId: await zoneOf(name),
        ChangeBatch: {
          Changes: [
            {
              Action: action,
              ResourceRecordSet: {
                Name: name,
                Type: 'TXT',
                TTL: TTL_SECONDS,
                ResourceRecords: values.map((value) => ({ Value: `"${value}"` })),
              },
            },
          ],
        },
      }),
    );
    if (action === 'UPSERT' && ChangeInfo?.Id !== undefined) {
      await waitUntilResourceRecordSetsChanged(
        { client, maxWaitTime: 180, minDelay: 2, maxDelay: 5 },
        { Id: ChangeInfo.Id },
      );
    }
  };

  return {
    check: (name) =>
      told(async () => {
        await zoneOf(name);
      }),
    put: (record) => told(() => change('UPSERT', record)),
    remove: (record) =>
      told(async () => {
        try {
          await change('DELETE', record);
        } catch (error) {
          // What somebody removed already.
          if (nameOf(error) !== 'InvalidChangeBatch') throw error;
        }
      }),
  };
}

const WRONG_KEY = new Set([
  'InvalidClientTokenId',
  'SignatureDoesNotMatch',
  'UnrecognizedClientException',
  'IncompleteSignature',
]);

function asDnsError(error: unknown, secretName: string): unknown {
  const name = nameOf(error);
  if (!(error instanceof Error) || name === 'AppError') return error;
  const why = `${name}: ${error.message}`;
  if (WRONG_KEY.has(name)) {
    return dnsProviderError(
      'Route 53 does not accept the access key',
      why,
      `store the right one: holdfast secrets set ${secretName}`,
    );
  }
  if (name === 'AccessDenied' || name === 'AccessDeniedException') {
    return dnsProviderError(
      'the access key may not change DNS at Route 53',
      why,
      'allow route53:ListHostedZonesByName, route53:ChangeResourceRecordSets and route53:GetChange in its policy',
    );
  }
  return dnsProviderError('Route 53 refuses a DNS change', why, 'holdfast tries again by itself');
}

function nameOf(error: unknown): string {
  return error instanceof Error ? error.name : '';
}
