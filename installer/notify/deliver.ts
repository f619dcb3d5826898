import type { DeployReceiver, MailReceiver } from '../model/deploy-event.ts';
import type { Secret } from '../model/secret.ts';
import { sendMail } from './mail.ts';
import { post } from './post.ts';

/** Seconds for one answer. */
const ANSWER_SECONDS = 5;
/** Seconds for a conversation with a mail server, several answers and one attempt, while a deploy waits for it. */
const MAIL_SECONDS = 10;
/** Milliseconds before the second and last attempt. */
const PAUSE = 500;

export interface DeliveryOptions {
  /** Name that mail servers are greeted with. */
  readonly domain: string;
  readonly answerSeconds?: number;
  /** For a conversation with a mail server. */
  readonly mailSeconds?: number;
  /** PEM of a further authority for mail servers. */
  readonly authority?: string;
}

/** One piece of news in the form of each channel. */
export interface News {
  /** For people; the first line is the subject of a mail. */
  readonly text: string;
  readonly body: (channel: 'slack' | 'discord' | 'webhook') => string;
  /** Where PagerDuty takes it, and one body for each request, with the integration key. */
  readonly pagerDuty: { readonly url: string; readonly bodies: (key: string) => readonly string[] };
}

export interface Delivery {
  /** Requests that were taken, from the first on: one is all, but for PagerDuty. */
  readonly taken: number;
  /** Why it was not taken, or not whole, without anything of the secret; absent when it was. */
  readonly why?: string;
}

export async function deliver(
  options: DeliveryOptions,
  receiver: DeployReceiver,
  value: Secret | undefined,
  news: News,
): Promise<Delivery> {
  const { secret } = receiver;
  const refused = (why: string): Delivery => ({ taken: 0, why });
  if (value === undefined) return refused(`${secret} is not set: holdfast secrets set ${secret}`);
  if (receiver.channel === 'email') return writeTo(options, receiver, value, news.text);
  const isKey = receiver.channel === 'pagerduty';
  const url = isKey ? new URL(news.pagerDuty.url) : webUrl(value);
  if (url === undefined) return refused(`${secret} holds no URL: holdfast secrets set ${secret}`);
  const bodies = isKey
    ? news.pagerDuty.bodies(value.reveal().trim())
    : [news.body(receiver.channel)];
  let taken = 0;
  for (const body of bodies) {
    const why = await postTwice(url, body, options.answerSeconds ?? ANSWER_SECONDS);
    if (why !== undefined) return { taken, why };
    taken += 1;
  }
  return { taken };
}

async function postTwice(url: URL, body: string, seconds: number): Promise<string | undefined> {
  const first = await post(url, body, seconds);
  // Who hangs is not asked again: somebody waits for this.
  if (first === undefined || !first.worthAnother) return first?.why;
  await new Promise((resolve) => setTimeout(resolve, PAUSE));
  return (await post(url, body, seconds))?.why;
}

async function writeTo(
  { domain, answerSeconds = MAIL_SECONDS, mailSeconds, authority }: DeliveryOptions,
  { to, from, secret }: MailReceiver,
  url: Secret,
  text: string,
): Promise<Delivery> {
  const [subject = ''] = text.split('\n', 1);
  const server = { url, domain, seconds: mailSeconds ?? answerSeconds };
  const { isTaken, why } = await sendMail(
    { ...server, ...(authority && { authority }) },
    { to, from, subject, text: `${text}\n` },
  );
  const taken = Number(isTaken);
  if (why === undefined) return { taken };
  return { taken, why: why.startsWith('holds') ? `${secret} ${why}` : why };
}

function webUrl(value: Secret): URL | undefined {
  const url = URL.canParse(value.reveal()) ? new URL(value.reveal()) : undefined;
  return url !== undefined && ['http:', 'https:'].includes(url.protocol) ? url : undefined;
}
