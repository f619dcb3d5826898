import { type Authorization, Client, crypto, type Order } from 'acme-client';
import { AppError } from '../errors.ts';
import { Secret } from '../model/secret.ts';
import type { CertificatePair } from '../tls/certificate-pair.ts';
import type { Account } from './account.ts';
import { baseName, type ChallengeKind, type Proof } from './challenge.ts';
import { AcmeFailure } from './failure.ts';
import { problemOf } from './transport.ts';

/** The authority is asked this often while it checks a proof or signs; about two minutes in all. */
const POLLING = { backoffAttempts: 40, backoffMin: 500, backoffMax: 4000 };

export interface ObtainInput {
  readonly hosts: readonly string[];
  readonly challenge: ChallengeKind;
  /** Called before the first request that may count against a limit of the authority. */
  readonly onAttempt: () => Promise<void>;
  /** Proofs that could not be taken back do no harm: they are told, and the certificate counts. */
  readonly warn: (text: string) => void;
}

export function acmeClient(directory: string, account: Account): Client {
  const { key, url, eab } = account;
  return new Client({
    directoryUrl: directory,
    accountKey: key.reveal(),
    ...(url === undefined ? {} : { accountUrl: url }),
    ...(eab === undefined
      ? {}
      : { externalAccountBinding: { kid: eab.keyId, hmacKey: eab.key.reveal() } }),
    ...POLLING,
  });
}

/**
 * A new certificate with a new ECDSA key.
 * @throws AcmeFailure
 */
export async function obtain(client: Client, input: ObtainInput): Promise<CertificatePair> {
  const { hosts } = input;
  await input.onAttempt();
  const order = await client.createOrder({
    identifiers: hosts.map((value) => ({ type: 'dns', value })),
  });
  const open = (await client.getAuthorizations(order)).filter(({ status }) => status === 'pending');
  await prove(client, order, open, input);
  const key = await crypto.createPrivateEcdsaKey('P-256');
  const [, csr] = await crypto.createCsr({ altNames: [...hosts] }, key);
  const certificate = await signed(client, order, csr);
  return { certificate: `${certificate.trim()}\n`, key: new Secret(key.toString()) };
}

/** What acme-client finds wrong itself, such as an order that is never signed, is told without a type. */
async function signed(client: Client, order: Order, csr: Buffer): Promise<string> {
  try {
    return await client.getCertificate(await client.finalizeOrder(order, csr));
  } catch (error) {
    if (error instanceof AcmeFailure || !(error instanceof Error)) throw error;
    throw new AcmeFailure({ status: 500, detail: error.message }, error);
  }
}

async function prove(
  client: Client,
  order: Order,
  open: readonly Authorization[],
  { challenge: kind, warn }: ObtainInput,
): Promise<void> {
  const asked = await Promise.all(
    open.map((authorization) => proofFor(client, authorization, kind)),
  );
  const proofs = asked.map(({ proof }) => proof);
  try {
    await kind.show(proofs);
    for (const { challenge } of asked) await client.completeChallenge(challenge);
    for (const authorization of open) await client.waitForValidStatus(authorization);
  } catch (error) {
    if (error instanceof AcmeFailure || error instanceof AppError) throw error;
    throw (await refusedProof(client, order)) ?? error;
  } finally {
    await kind.takeBack(proofs).catch((error: unknown) => {
      warn(`what proved ${order.identifiers.map(({ value }) => value).join(', ')} stays: ${error}`);
    });
  }
}

async function proofFor(client: Client, authorization: Authorization, kind: ChallengeKind) {
  const challenge = authorization.challenges.find(({ type }) => type === kind.type);
  const host = baseName(authorization.identifier.value);
  if (challenge === undefined) {
    const offered = authorization.challenges.map(({ type }) => type).join(', ');
    throw new AcmeFailure({
      status: 400,
      detail: `it does not take ${kind.type} for ${host}, but ${offered}`,
    });
  }
  const content = await client.getChallengeKeyAuthorization(challenge);
  const proof: Proof = { host, token: challenge.token, content };
  return { challenge, proof };
}

/** acme-client says only that a proof failed; the authorization says why. */
async function refusedProof(client: Client, order: Order): Promise<AcmeFailure | undefined> {
  const authorizations = await client.getAuthorizations(order).catch(() => {
    // The first failure tells more than one of looking for its reason.
    return [];
  });
  for (const { challenges, identifier } of authorizations) {
    for (const challenge of challenges) {
      const failure: unknown = 'error' in challenge ? challenge.error : undefined;
      if (typeof failure !== 'object' || failure === null) continue;
      const { type, detail } = problemOf(failure);
      return new AcmeFailure({
        status: 403,
        detail: `${identifier.value}: ${detail ?? 'the proof was refused'}`,
        ...(type === undefined ? {} : { type }),
      });
    }
  }
  return undefined;
}
