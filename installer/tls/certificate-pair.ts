import { X509Certificate } from 'node:crypto';
import type { Secret } from '../model/secret.ts';

/** A certificate with its chain and its private key, both as PEM text. */
export interface CertificatePair {
  /** The certificate itself first. */
  readonly certificate: string;
  readonly key: Secret;
}

/**
 * All certificates of a PEM text, in order.
 * @throws Error of node:crypto when one of them cannot be read
 */
export function certificatesIn(pem: string): X509Certificate[] {
  const blocks = pem.match(/-----BEGIN CERTIFICATE-----[^-]+-----END CERTIFICATE-----/g) ?? [];
  return blocks.map((block) => new X509Certificate(block));
}

/** Whether clients accept the certificate under this name; names in the subject do not count any more. */
export function covers(certificate: X509Certificate, host: string): boolean {
  return certificate.checkHost(host, { subject: 'never' }) !== undefined;
}
