import { type Authorization, Client, crypto, type Order } from 'acme-client';
import { Secret } from '../model/secret.ts';
import type { CertificatePair } from '../tls/certificate-pair.ts';
import type { Account } from './account.ts';
import { baseName, type ChallengeKind, type Proof } from './challenge.ts';
import { AcmeFailure, withAuthoritysFault } from './failure.ts';
import { problemOf } from './transport.ts';

/** How the authority is asked while it checks a proof or signs: for about five times as long as one answer may take. */
function polling(answerSeconds: number) {
  return {
    backoffAttempts: Math.ceil((answerSeconds * 4) / 3),
    backoffMin: 500,
    backoffMax: 4000,
  };
}

export interface ObtainInput {
  readonly hosts: readonly string[];
  readonly challenge: ChallengeKind;
  /** Called before the first request that may count against a limit of the authority. */
  readonly onAttempt: () => Promise<void>;
  /** Proofs that could not be taken back do no harm: they are told, and the certificate counts. */
  readonly warn: (text: string) => void;
}

export function acmeClient(directory: string, account: Account, answerSeconds: number): Client {
  const { key, url, eab } = account;
  return new Client({
    directoryUrl: directory,
    accountKey: key.reveal(),
    ...(url === undefined ? {} : { accountUrl: url }),
    ...(eab === undefined
      ? {}
      : { externalAccountBinding: { kid: eab.keyId, hmacKey: eab.key.reveal() } }),
    ...polling(answerSeconds),
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
  const certificate = await client.getCertificate(await client.finalizeOrder(order, csr));
  return { certificate: `${certificate.trim()}\n`, key: new Secret(key.toString()) };
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
    const isWordsOnly = !(error instanceof AcmeFailure) && withAuthoritysFault(error) !== error;
    throw (isWordsOnly ? await unprovedName(client, order) : undefined) ?? error;
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

/** acme-client says only that a proof failed; the authorization says whose and why. */
async function unprovedName(client: Client, order: Order): Promise<AcmeFailure | undefined> {
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
  const open = authorizations.find(({ status }) => status === 'pending');
  if (open === undefined) return undefined;
  const detail = `${open.identifier.value}: it has not come to an end with checking the proof`;
  return new AcmeFailure({ status: 500, detail });
}
