import { createPrivateKey, X509Certificate } from 'node:crypto';
import type { Secret } from '../model/secret.ts';
import { type Authority, cannotSign } from './authority.ts';
import { type CertificatePair, certificatesIn, covers } from './certificate-pair.ts';

/** Renewed when this share of its life is left. */
const RENEW_SHARE = 1 / 3;

/** The certificate authority of one server and what it has signed. */
export interface PrivateCa {
  /** Undefined until the first certificate; a key without a certificate after a kill between the two. */
  readonly authority:
    | { readonly key: Secret; readonly certificate: string | undefined }
    | undefined;
  /** By host name. */
  readonly leaves: ReadonlyMap<string, CertificatePair>;
}

export interface NeededCertificate {
  readonly host: string;
  readonly reason: 'missing' | 'unreadable' | 'other-authority' | 'wrong-name' | 'renewal';
}

/** Which hosts need a new certificate, and why; what is only due for renewal is left out unless `renews`. Pure. */
export function certificatesNeeded(
  ca: PrivateCa,
  hosts: readonly string[],
  now: Date,
  renews = true,
): NeededCertificate[] {
  return hosts.flatMap((host) => {
    const reason = reasonToIssue(ca, host, now);
    return reason === undefined || (reason === 'renewal' && !renews) ? [] : [{ host, reason }];
  });
}

function reasonToIssue(
  ca: PrivateCa,
  host: string,
  now: Date,
): NeededCertificate['reason'] | undefined {
  const pair = ca.leaves.get(host);
  if (pair === undefined) return 'missing';
  const leaf = readPair(pair);
  if (leaf === undefined) return 'unreadable';
  const issuer = ca.authority?.certificate;
  if (issuer === undefined || !leaf.verify(new X509Certificate(issuer).publicKey)) {
    return 'other-authority';
  }
  if (!covers(leaf, host)) return 'wrong-name';
  const from = leaf.validFromDate.getTime();
  const until = leaf.validToDate.getTime();
  const isFresh = from <= now.getTime() && until - now.getTime() > (until - from) * RENEW_SHARE;
  return isFresh ? undefined : 'renewal';
}

/** The certificate of a pair whose two halves fit each other. */
function readPair({ certificate, key }: CertificatePair): X509Certificate | undefined {
  try {
    const [leaf] = certificatesIn(certificate);
    return leaf?.checkPrivateKey(createPrivateKey(key.reveal())) ? leaf : undefined;
  } catch {
    // A damaged pair of our own making is replaced like a missing one.
    return undefined;
  }
}

/**
 * The same authority with a certificate for every host, in memory only: the authority is made when there
 * is none, what is still good stays byte for byte.
 * @throws AppError `host/private-ca` when the authority is damaged or past its end: it is never replaced
 * silently, because people have told their browsers to trust it.
 */
export async function withCertificates(
  ca: PrivateCa,
  hosts: readonly string[],
  options: { readonly now: Date; readonly name: string; readonly renews?: boolean },
): Promise<PrivateCa> {
  const authority = await completeAuthority(ca.authority, options);
  const needed = certificatesNeeded({ ...ca, authority }, hosts, options.now, options.renews);
  if (needed.length === 0) return { ...ca, authority };
  const { signLeaf } = await loadSigner();
  const leaves = new Map(ca.leaves);
  for (const { host } of needed) leaves.set(host, await signLeaf(authority, host, options.now));
  return { authority, leaves };
}

async function completeAuthority(
  existing: PrivateCa['authority'],
  { now, name }: { readonly now: Date; readonly name: string },
): Promise<Authority> {
  if (existing?.certificate === undefined) {
    const { signAuthority } = await loadSigner();
    return signAuthority(existing?.key, `${name} private CA`, now);
  }
  const problem = authorityProblem(existing.key, existing.certificate, now);
  if (problem !== undefined) throw cannotSign(problem);
  return { key: existing.key, certificate: existing.certificate };
}

/** Most runs sign nothing, and loading the ASN.1 library takes a tenth of a second. */
function loadSigner(): Promise<typeof import('./sign.ts')> {
  return import('./sign.ts');
}

function authorityProblem(key: Secret, certificate: string, now: Date): string | undefined {
  try {
    const authority = new X509Certificate(certificate);
    if (!authority.checkPrivateKey(createPrivateKey(key.reveal()))) {
      return 'ca.key is not the key of ca.crt';
    }
    if (authority.validToDate <= now)
      return `ca.crt ended on ${authority.validToDate.toISOString()}`;
    return undefined;
  } catch {
    // The cause would quote the key.
    return 'ca.crt or ca.key cannot be read';
  }
}
