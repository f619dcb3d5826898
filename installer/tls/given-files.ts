import { createPrivateKey, type KeyObject, type X509Certificate } from 'node:crypto';
import { AppError } from '../errors.ts';
import type { HostNeed } from '../model/host-need.ts';
import { type CertificatePair, certificatesIn, covers } from './certificate-pair.ts';

/**
 * Checks a certificate that the user gave: readable, in its time, with its own key, its chain in order,
 * and good for every host.
 * @param names paths of the two files, for the messages
 * @throws AppError `config/tls-unreadable`, `config/tls-key`, `config/tls-expired`, `config/tls-chain`,
 *   `config/tls-hosts`
 */
export function checkGivenCertificate(
  pair: CertificatePair,
  hosts: readonly Pick<HostNeed, 'host' | 'usedBy'>[],
  now: Date,
  names: { readonly certificate: string; readonly key: string },
): void {
  const [leaf, ...chain] = readCertificates(pair.certificate, names.certificate);
  if (leaf === undefined) throw unreadable(names.certificate, 'it holds no PEM certificate');
  const key = readKey(pair, names.key);
  if (!leaf.checkPrivateKey(key)) {
    throw refused('tls-key', `${names.key} is not the key of ${names.certificate}`);
  }
  checkTimes([leaf, ...chain], now, names.certificate);
  checkChain([leaf, ...chain], names.certificate);
  const uncovered = hosts.filter(({ host }) => !covers(leaf, host));
  if (uncovered.length > 0) {
    const listed = leaf.subjectAltName ?? 'no names at all';
    const origins = uncovered.map(({ host, usedBy }) => `${usedBy} names ${host}`);
    throw refused(
      'tls-hosts',
      `${names.certificate} is not made for ${uncovered.map(({ host }) => host).join(', ')}`,
      `it lists ${listed}; ${origins.join(', ')}`,
    );
  }
}

function readCertificates(pem: string, name: string): X509Certificate[] {
  try {
    return certificatesIn(pem);
  } catch (error) {
    throw unreadable(name, 'a certificate in it is damaged', error);
  }
}

function readKey({ key }: CertificatePair, name: string): KeyObject {
  try {
    return createPrivateKey(key.reveal());
  } catch {
    // The cause is not passed on: it may quote the key.
    throw unreadable(name, 'it holds no PEM private key without a passphrase');
  }
}

function checkTimes(certificates: readonly X509Certificate[], now: Date, name: string): void {
  for (const certificate of certificates) {
    const subject = certificate.subject.replaceAll('\n', ', ');
    if (certificate.validToDate <= now) {
      throw refused(
        'tls-expired',
        `A certificate in ${name} has expired`,
        `${subject} ended on ${certificate.validToDate.toISOString()}`,
      );
    }
    if (certificate.validFromDate > now) {
      throw refused(
        'tls-expired',
        `A certificate in ${name} is not valid yet`,
        `${subject} begins on ${certificate.validFromDate.toISOString()}`,
      );
    }
  }
}

function checkChain(certificates: readonly X509Certificate[], name: string): void {
  certificates.forEach((certificate, index) => {
    const issuer = certificates[index + 1];
    if (issuer === undefined || certificate.checkIssued(issuer)) return;
    throw refused(
      'tls-chain',
      `The chain in ${name} is out of order`,
      `certificate ${index + 1} is not signed by certificate ${index + 2}`,
    );
  });
}

function unreadable(name: string, why: string, cause?: unknown): AppError {
  return new AppError({
    code: 'config/tls-unreadable',
    what: `${name} cannot be used`,
    why,
    hint: HINT,
    cause,
  });
}

const HINT =
  'Put the right PEM files where `tls.files` of config.yaml points: the certificate first, then its chain.';

function refused(name: string, what: string, why?: string): AppError {
  return new AppError({
    code: `config/${name}`,
    what,
    ...(why === undefined ? {} : { why }),
    hint: HINT,
  });
}
