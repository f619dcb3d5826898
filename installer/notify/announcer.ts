import type { Announce, DeployEvent, DeployReceiver, MailReceiver } from '../model/deploy-event.ts';
import type { Report } from '../model/events.ts';
import type { Secret } from '../model/secret.ts';
import { sendMail } from './mail.ts';
import { eventBody, eventText, pagerDutyBody, type Sender } from './message.ts';
import { post } from './post.ts';

/** Seconds for one answer. */
const ANSWER_SECONDS = 5;
/** Seconds for a conversation with a mail server: several answers, one attempt. */
const MAIL_SECONDS = 10;
/** Events API v2, https://developer.pagerduty.com/docs/send-change-events. */
const PAGERDUTY = 'https://events.pagerduty.com/v2/change/enqueue';
/** Milliseconds before the second and last attempt. */
const PAUSE = 500;

export interface AnnouncerOptions {
  readonly receivers: readonly DeployReceiver[];
  readonly sender: Sender;
  /** Read for each event: a secret may be set or rotated at any time. */
  readonly secrets: () => Promise<ReadonlyMap<string, Secret>>;
  readonly report: Report;
  readonly answerSeconds?: number;
  /** Where PagerDuty takes changes, instead of its own address. */
  readonly pagerDuty?: string;
  /** PEM of a further authority for mail servers. */
  readonly authority?: string;
}

/** Tells every receiver at once. What fails is a warning that names the receiver and the secret, never its value. */
export function announcer(options: AnnouncerOptions): Announce {
  const { receivers, secrets, report } = options;
  return async (event) => {
    let values: ReadonlyMap<string, Secret>;
    try {
      values = await secrets();
    } catch {
      report({
        kind: 'warning',
        code: 'notify/not-told',
        text: 'nobody was told of the deploy: the secrets cannot be read',
      });
      return;
    }
    await Promise.all(
      receivers.map(async (receiver) => {
        const why = await tell(options, receiver, values.get(receiver.secret), event);
        if (why !== undefined) report(notTold(receiver.name, event, why));
      }),
    );
  };
}

/** @returns why it was not told */
async function tell(
  options: AnnouncerOptions,
  receiver: DeployReceiver,
  value: Secret | undefined,
  event: DeployEvent,
): Promise<string | undefined> {
  const { secret } = receiver;
  if (value === undefined) return `${secret} is not set: holdfast secrets set ${secret}`;
  if (receiver.channel === 'email') return writeTo(options, receiver, value, event);
  const isKey = receiver.channel === 'pagerduty';
  const url = isKey ? new URL(options.pagerDuty ?? PAGERDUTY) : webUrl(value);
  if (url === undefined) return `${secret} holds no URL: holdfast secrets set ${secret}`;
  const { sender, answerSeconds = ANSWER_SECONDS } = options;
  const body = isKey
    ? pagerDutyBody(value.reveal().trim(), event, sender)
    : eventBody(receiver.channel, event, sender);
  const first = await post(url, body, answerSeconds);
  // Who hangs is not asked again: the deploy waits for this.
  if (first === undefined || !first.worthAnother) return first?.why;
  await new Promise((resolve) => setTimeout(resolve, PAUSE));
  return (await post(url, body, answerSeconds))?.why;
}

async function writeTo(
  { sender, answerSeconds = MAIL_SECONDS, authority }: AnnouncerOptions,
  { to, from, secret }: MailReceiver,
  url: Secret,
  event: DeployEvent,
): Promise<string | undefined> {
  const text = eventText(event, sender);
  const [subject = ''] = text.split('\n', 1);
  const server = { url, domain: sender.domain, seconds: answerSeconds };
  const why = await sendMail(
    { ...server, ...(authority && { authority }) },
    { to, from, subject, text: `${text}\n` },
  );
  return why?.startsWith('holds') ? `${secret} ${why}` : why;
}

function webUrl(value: Secret): URL | undefined {
  const url = URL.canParse(value.reveal()) ? new URL(value.reveal()) : undefined;
  return url !== undefined && ['http:', 'https:'].includes(url.protocol) ? url : undefined;
}

function notTold(receiver: string, { kind }: DeployEvent, why: string) {
  return {
    kind: 'warning',
    code: 'notify/not-told',
    text: `alerting.receivers.${receiver} was not told of the deploy (${kind}): ${why}`,
  } as const;
}
