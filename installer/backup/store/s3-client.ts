import { readFileSync } from 'node:fs';
import { Agent as HttpsAgent } from 'node:https';
import { getCACertificates } from 'node:tls';
import { S3Client } from '@aws-sdk/client-s3';
import { AppError } from '../../errors.ts';
import type { BackupStore } from '../../model/backup-settings.ts';
import type { Secret } from '../../model/secret.ts';

export type S3Settings = Extract<BackupStore, { kind: 's3' | 'r2' }>;

export interface S3Credentials {
  readonly accessKeyId: Secret;
  readonly secretAccessKey: Secret;
}

/** How long and how often a request is tried. */
export interface Patience {
  /** Seconds until a connection stands. */
  readonly connectSeconds: number;
  /** Seconds without a byte in either direction. */
  readonly idleSeconds: number;
  /** Waits before the second, third, … try, milliseconds. */
  readonly retryWaits: readonly number[];
}

export const PATIENCE: Patience = {
  connectSeconds: 10,
  idleSeconds: 60,
  retryWaits: [500, 2_000, 5_000, 15_000],
};

/** The settings that S3, R2, radosgw and their like all take. Repeats are ours, so that each is bounded. */
export function s3Client(
  settings: S3Settings,
  credentials: S3Credentials,
  patience: Patience,
): S3Client {
  return new S3Client({
    endpoint: settings.endpoint,
    region: settings.region,
    forcePathStyle: true,
    maxAttempts: 1,
    // R2 and others refuse the CRC32 that the SDK adds by default; parts carry Content-MD5 instead.
    requestChecksumCalculation: 'WHEN_REQUIRED',
    responseChecksumValidation: 'WHEN_REQUIRED',
    credentials: {
      accessKeyId: credentials.accessKeyId.reveal(),
      secretAccessKey: credentials.secretAccessKey.reveal(),
    },
    requestHandler: {
      connectionTimeout: patience.connectSeconds * 1000,
      socketTimeout: patience.idleSeconds * 1000,
      // Reading the system's authorities takes a tenth of a second, which an http endpoint need not wait for.
      ...(settings.endpoint.startsWith('http:')
        ? {}
        : {
            httpsAgent: new HttpsAgent({
              keepAlive: true,
              maxSockets: 8,
              ca: authorities(settings),
            }),
          }),
      httpAgent: { keepAlive: true, maxSockets: 8 },
    },
    logger: SILENT,
  });
}

/** The SDK writes warnings to the console otherwise. */
const SILENT = {
  debug: (): void => undefined,
  info: (): void => undefined,
  warn: (): void => undefined,
  error: (): void => undefined,
};

function authorities({ caFile }: S3Settings): string[] {
  const known = new Set([...getCACertificates('default'), ...getCACertificates('system')]);
  if (caFile === undefined) return [...known];
  try {
    return [...known, readFileSync(caFile, 'utf8')];
  } catch (cause) {
    throw new AppError({
      code: 'store/certificate',
      what: `the file of certificate authorities ${caFile} cannot be read`,
      why: (cause as Error).message,
      hint: 'correct `caFile` of the provider in config.yaml and apply',
      cause,
    });
  }
}
