import 'reflect-metadata';
import type { X509Certificate } from 'node:crypto';
import * as x509 from '@peculiar/x509';
import { axios } from 'acme-client';
import { z } from 'zod';
import type { RenewalAdvice } from './decide.ts';
import { retryAfterSeconds } from './transport.ts';

/** Asked again after this long when the authority does not say, seconds: as RFC 9773 advises for long-term errors. */
const USUAL_PAUSE = 6 * 3600;
/** What is asked for as a pause counts within these, seconds. */
const SHORTEST_PAUSE = 60;
const LONGEST_PAUSE = 24 * 3600;

const AnswerSchema = z.object({
  suggestedWindow: z.object({
    start: z.iso.datetime({ offset: true }),
    end: z.iso.datetime({ offset: true }),
  }),
});

/**
 * When the authority wants a certificate renewed (RFC 9773). It may say "now", which is how it announces that
 * it takes certificates back.
 * @param url `renewalInfo` of its directory; undefined where it gives no advice
 * @returns advice without a window where there is none, or none that makes sense
 * @throws AcmeFailure
 */
export async function askRenewalAdvice(
  url: string | undefined,
  leaf: X509Certificate,
  now: number,
): Promise<RenewalAdvice> {
  const none = (seconds = USUAL_PAUSE): RenewalAdvice => ({
    serial: leaf.serialNumber,
    checkAt: now + seconds * 1000,
  });
  const id = certificateId(keyIdentifier(leaf), leaf.serialNumber);
  if (url === undefined || id === undefined) return none(LONGEST_PAUSE);
  const { data, headers } = await axios.request<unknown>({ url: `${url}/${id}`, method: 'get' });
  const asked = retryAfterSeconds(String(headers['retry-after'] ?? ''));
  const pause = Math.min(Math.max(asked ?? USUAL_PAUSE, SHORTEST_PAUSE), LONGEST_PAUSE);
  const answer = AnswerSchema.safeParse(data);
  if (!answer.success) return none();
  const from = Date.parse(answer.data.suggestedWindow.start);
  const until = Date.parse(answer.data.suggestedWindow.end);
  return until > from ? { ...none(pause), window: { from, until } } : none();
}

/**
 * How a certificate is called there: key identifier of its issuer and serial number, each as base64url.
 * @param keyId hex
 * @param serial hex, as Node gives it: without the zero that DER puts before a high bit
 */
export function certificateId(keyId: string | undefined, serial: string): string | undefined {
  if (keyId === undefined) return undefined;
  const even = serial.length % 2 === 0 ? serial : `0${serial}`;
  const signed = Number.parseInt(even.slice(0, 2), 16) >= 0x80 ? `00${even}` : even;
  const encoded = (hex: string): string => Buffer.from(hex, 'hex').toString('base64url');
  return `${encoded(keyId)}.${encoded(signed)}`;
}

function keyIdentifier(leaf: X509Certificate): string | undefined {
  const certificate = new x509.X509Certificate(leaf.raw);
  return certificate.getExtension(x509.AuthorityKeyIdentifierExtension)?.keyId;
}
