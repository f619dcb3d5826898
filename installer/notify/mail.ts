import type { SecureContextOptions } from 'node:tls';
import type { Secret } from '../model/secret.ts';

export interface Letter {
  readonly to: readonly string[];
  readonly from: string | undefined;
  readonly subject: string;
  readonly text: string;
}

export interface MailServer {
  /** `smtp://` with STARTTLS or `smtps://`, with the login. */
  readonly url: Secret;
  /** Name that it is greeted with, and domain of a sender that nobody named. */
  readonly domain: string;
  /** Of the whole conversation. */
  readonly seconds: number;
  /** PEM of further authorities for the certificate of the server. */
  readonly authority?: SecureContextOptions['ca'];
}

/** Only on this machine does a conversation go unencrypted. */
const LOOPBACK = new Set(['localhost', '127.0.0.1', '[::1]']);

/** Why a letter was not taken, or not by all: without the login and without what the server said. */
export interface Posted {
  /** For one address at least: a second letter would reach that one twice. */
  readonly isTaken: boolean;
  readonly why?: string;
}

/** Hands one letter to the mail server. */
export async function sendMail(server: MailServer, letter: Letter): Promise<Posted> {
  const url = mailUrl(server.url);
  if (url === undefined) {
    return refused('holds no URL such as smtp://user:password@mail.example.com:587');
  }
  // Only whoever sends mail has it in memory.
  const { createTransport } = await import('nodemailer');
  const secure = url.protocol === 'smtps:';
  const user = decodeURIComponent(url.username);
  const milliseconds = server.seconds * 1000;
  const transport = createTransport({
    host: url.hostname.replace(/^\[|\]$/g, ''),
    port: Number(url.port) || (secure ? 465 : 587),
    secure,
    requireTLS: !secure && !LOOPBACK.has(url.hostname),
    name: server.domain,
    ...(user === '' ? {} : { auth: { user, pass: decodeURIComponent(url.password) } }),
    connectionTimeout: milliseconds,
    greetingTimeout: milliseconds,
    socketTimeout: milliseconds,
    tls: { minVersion: 'TLSv1.2', ...(server.authority && { ca: server.authority }) },
    disableFileAccess: true,
    disableUrlAccess: true,
  });
  const from = letter.from ?? (user.includes('@') ? user : `holdfast@${server.domain}`);
  const late = Promise.withResolvers<Posted>();
  const timer = setTimeout(
    () => late.resolve(refused(`no answer within ${server.seconds} s`)),
    milliseconds,
  );
  const headers = { 'Auto-Submitted': 'auto-generated' };
  const { to, subject, text } = letter;
  const sent = transport
    .sendMail({ from, to: [...to], subject, text, headers })
    .then(({ rejected }) => ({
      isTaken: true,
      ...(rejected.length > 0 && { why: 'not every address was taken' }),
    }))
    .catch((error) => refused(reasonOf(error)));
  try {
    return await Promise.race([sent, late.promise]);
  } finally {
    clearTimeout(timer);
    transport.close();
  }
}

function refused(why: string): Posted {
  return { isTaken: false, why };
}

function mailUrl(value: Secret): URL | undefined {
  const text = value.reveal().trim();
  const url = URL.canParse(text) ? new URL(text) : undefined;
  return url !== undefined && ['smtp:', 'smtps:'].includes(url.protocol) && url.hostname !== ''
    ? url
    : undefined;
}

function reasonOf(error: unknown): string {
  const { code, responseCode } = error as { code?: string; responseCode?: number };
  const answered = responseCode === undefined ? '' : ` (${responseCode})`;
  if (code === 'EAUTH') return `the mail server refused the login${answered}`;
  if (code === 'ETLS') return 'the mail server offers no encryption';
  if (responseCode !== undefined) return `the mail server answered ${responseCode}`;
  if (code === 'ETIMEDOUT') return 'the mail server did not answer in time';
  return `no safe connection to the mail server${code === undefined ? '' : ` (${code})`}`;
}
