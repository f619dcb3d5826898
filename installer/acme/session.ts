import type { Client } from 'acme-client';
import { axios } from 'acme-client';
import { z } from 'zod';
import { AppError } from '../errors.ts';
import type { Host } from '../host/host.ts';
import type { AcmeSettings } from '../model/certificate-settings.ts';
import type { Paths } from '../model/paths.ts';
import type { Secret } from '../model/secret.ts';
import { type Account, openAccount, registerAccount } from './account.ts';
import { storedSecret } from './dns/open-provider.ts';
import { atAuthority } from './failure.ts';
import { acmeClient } from './obtain.ts';
import { ANSWER_SECONDS, useTransport } from './transport.ts';

/** An authority that answers, and our account there. */
export interface Session {
  readonly client: Client;
  /** The address of our account there. */
  readonly accountUrl: string;
  /** What the authority calls itself in CAA records. */
  readonly caaIdentities: readonly string[];
}

export interface SessionInput {
  readonly host: Host;
  readonly paths: Paths;
  readonly settings: AcmeSettings;
  readonly secrets: ReadonlyMap<string, Secret>;
  readonly signal: AbortSignal;
  /** Patience for one answer of the authority; {@link ANSWER_SECONDS} when absent. */
  readonly answerSeconds?: number;
}

const DirectorySchema = z.object({
  newOrder: z.string(),
  /** RFC 9773; not every authority gives advice. */
  renewalInfo: z.url().optional(),
  meta: z.object({ caaIdentities: z.array(z.string()).default([]) }).default({ caaIdentities: [] }),
});

export type Directory = z.output<typeof DirectorySchema>;

/**
 * What the authority offers, and where.
 * @throws AcmeFailure, AppError `certificate/no-directory`, `config/acme-ca-file`
 */
export async function readDirectory(
  input: Omit<SessionInput, 'secrets' | 'paths'>,
): Promise<Directory> {
  const { host, settings, signal } = input;
  const { directory } = settings;
  useTransport({
    ca: await authorityOfServer(host, settings.caFile),
    signal,
    answerSeconds: input.answerSeconds ?? ANSWER_SECONDS,
  });
  const { data } = await axios.request<unknown>({ url: directory, method: 'get' });
  const parsed = DirectorySchema.safeParse(data);
  if (!parsed.success) {
    throw new AppError({
      code: 'certificate/no-directory',
      what: `${directory} is no ACME directory`,
      why: 'its answer names no place for orders',
      hint: 'correct `tls.directory` in config.yaml, then: holdfast apply',
    });
  }
  return parsed.data;
}

/** @throws AcmeFailure, AppError `certificate/no-directory`, `config/acme-ca-file` */
export async function openSession(input: SessionInput): Promise<Session> {
  const { host, paths, settings, secrets } = input;
  const { directory, eab } = settings;
  const { meta } = await readDirectory(input);
  const stored = await openAccount(host, paths, directory);
  const account: Account =
    eab === undefined
      ? stored
      : { ...stored, eab: { keyId: eab.keyId, key: storedSecret(secrets, eab.secret) } };
  const client = acmeClient(directory, account, input.answerSeconds ?? ANSWER_SECONDS);
  await atAuthority(() =>
    registerAccount({ host, paths, directory }, client, account, settings.contact),
  );
  return { client, accountUrl: client.getAccountUrl(), caaIdentities: meta.caaIdentities };
}

async function authorityOfServer(
  host: Host,
  path: string | undefined,
): Promise<string | undefined> {
  if (path === undefined) return undefined;
  const bytes = await host.read(path);
  if (bytes !== undefined) return new TextDecoder().decode(bytes);
  throw new AppError({
    code: 'config/acme-ca-file',
    what: `there is no file ${path} on ${host.name}`,
    why: '`tls.caFile` names it',
    hint: 'put the file there, or correct the path in config.yaml; paths are relative to it',
  });
}
