import 'reflect-metadata';
import { createPrivateKey, webcrypto } from 'node:crypto';
import * as x509 from '@peculiar/x509';
import { Secret } from '../model/secret.ts';
import { type Authority, cannotSign } from './authority.ts';
import type { CertificatePair } from './certificate-pair.ts';

const DAY_MS = 86_400_000;
const CA_DAYS = 3650;
/** The longest that browsers accept for a public certificate; Apple's rule since 2020. */
const LEAF_DAYS = 397;
/** Clocks of clients may be behind ours. */
const BACKDATE_MS = 3_600_000;

const KEY_ALGORITHM = { name: 'ECDSA', namedCurve: 'P-256' } as const;
const SIGNATURE = { name: 'ECDSA', hash: 'SHA-256' } as const;

/**
 * A new authority for ten years.
 * @param existingKey kept when a kill left the key without its certificate
 * @throws AppError `host/private-ca`
 */
export async function signAuthority(
  existingKey: Secret | undefined,
  name: string,
  now: Date,
): Promise<Authority> {
  const keys = existingKey === undefined ? await newKeys() : await authorityKeys(existingKey);
  const certificate = await x509.X509CertificateGenerator.createSelfSigned({
    name: distinguishedName(name),
    keys,
    notBefore: new Date(now.getTime() - BACKDATE_MS),
    notAfter: new Date(now.getTime() + CA_DAYS * DAY_MS),
    signingAlgorithm: SIGNATURE,
    extensions: [
      new x509.BasicConstraintsExtension(true, 0, true),
      new x509.KeyUsagesExtension(
        x509.KeyUsageFlags.keyCertSign | x509.KeyUsageFlags.cRLSign,
        true,
      ),
      new x509.ExtendedKeyUsageExtension([x509.ExtendedKeyUsage.serverAuth]),
      await x509.SubjectKeyIdentifierExtension.create(keys.publicKey),
    ],
  });
  return {
    key: existingKey ?? (await exportKey(keys.privateKey)),
    certificate: pemText(certificate),
  };
}

/** A certificate for one host, no longer than the authority itself lasts. */
export async function signLeaf(
  authority: Authority,
  host: string,
  now: Date,
): Promise<CertificatePair> {
  const issuer = new x509.X509Certificate(authority.certificate);
  const signingKeys = await authorityKeys(authority.key);
  const keys = await newKeys();
  const end = Math.min(now.getTime() + LEAF_DAYS * DAY_MS, issuer.notAfter.getTime());
  const certificate = await x509.X509CertificateGenerator.create({
    // Names beyond 64 characters do not fit a common name, and clients read the list of names only.
    subject: distinguishedName(host.slice(0, 64)),
    issuer: issuer.subjectName,
    notBefore: new Date(now.getTime() - BACKDATE_MS),
    notAfter: new Date(end),
    publicKey: keys.publicKey,
    signingKey: signingKeys.privateKey,
    signingAlgorithm: SIGNATURE,
    extensions: [
      new x509.BasicConstraintsExtension(false, undefined, true),
      new x509.KeyUsagesExtension(x509.KeyUsageFlags.digitalSignature, true),
      new x509.ExtendedKeyUsageExtension([x509.ExtendedKeyUsage.serverAuth]),
      new x509.SubjectAlternativeNameExtension(alternativeNames(host)),
      await x509.AuthorityKeyIdentifierExtension.create(issuer),
      await x509.SubjectKeyIdentifierExtension.create(keys.publicKey),
    ],
  });
  return { certificate: pemText(certificate), key: await exportKey(keys.privateKey) };
}

function alternativeNames(host: string): x509.JsonGeneralNames {
  const names: x509.JsonGeneralNames = [{ type: 'dns', value: host }];
  if (host === 'localhost') {
    names.push({ type: 'ip', value: '127.0.0.1' }, { type: 'ip', value: '::1' });
  }
  return names;
}

function distinguishedName(commonName: string): x509.JsonName {
  return [{ CN: [commonName] }];
}

function pemText(certificate: x509.X509Certificate): string {
  return `${certificate.toString('pem').trim()}\n`;
}

async function newKeys(): Promise<webcrypto.CryptoKeyPair> {
  return webcrypto.subtle.generateKey(KEY_ALGORITHM, true, ['sign', 'verify']);
}

async function exportKey(key: webcrypto.CryptoKey): Promise<Secret> {
  const der = Buffer.from(await webcrypto.subtle.exportKey('pkcs8', key));
  const lines = der.toString('base64').match(/.{1,64}/g) ?? [];
  return new Secret(
    ['-----BEGIN PRIVATE KEY-----', ...lines, '-----END PRIVATE KEY-----', ''].join('\n'),
  );
}

async function importKeys(pem: string): Promise<webcrypto.CryptoKeyPair> {
  const privateKey = createPrivateKey(pem);
  const { d: _secret, ...publicJwk } = privateKey.export({ format: 'jwk' });
  const der = privateKey.export({ type: 'pkcs8', format: 'der' });
  return {
    privateKey: await webcrypto.subtle.importKey('pkcs8', der, KEY_ALGORITHM, true, ['sign']),
    publicKey: await webcrypto.subtle.importKey('jwk', publicJwk, KEY_ALGORITHM, true, ['verify']),
  };
}

async function authorityKeys(key: Secret): Promise<webcrypto.CryptoKeyPair> {
  try {
    return await importKeys(key.reveal());
  } catch {
    // The cause would quote the key.
    throw cannotSign('ca.key cannot be read');
  }
}
