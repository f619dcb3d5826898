import type { Announce, DeployEvent, DeployReceiver } from '../model/deploy-event.ts';
import type { Report } from '../model/events.ts';
import type { Secret } from '../model/secret.ts';
import { eventBody, type Sender } from './message.ts';

/** Seconds for one answer. */
const ANSWER_SECONDS = 5;
/** Milliseconds before the second and last attempt. */
const PAUSE = 500;

export interface AnnouncerOptions {
  readonly receivers: readonly DeployReceiver[];
  readonly sender: Sender;
  /** Read for each event: a secret may be set or rotated at any time. */
  readonly secrets: () => Promise<ReadonlyMap<string, Secret>>;
  readonly report: Report;
  readonly answerSeconds?: number;
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
  { sender, answerSeconds = ANSWER_SECONDS }: AnnouncerOptions,
  { channel, secret }: DeployReceiver,
  value: Secret | undefined,
  event: DeployEvent,
): Promise<string | undefined> {
  if (value === undefined) return `${secret} is not set: holdfast secrets set ${secret}`;
  const url = URL.canParse(value.reveal()) ? new URL(value.reveal()) : undefined;
  if (url === undefined || !['http:', 'https:'].includes(url.protocol)) {
    return `${secret} holds no URL: holdfast secrets set ${secret}`;
  }
  const body = eventBody(channel, event, sender);
  const first = await post(url, body, answerSeconds);
  // Who hangs is not asked again: the deploy waits for this.
  if (first === undefined || !first.worthAnother) return first?.why;
  await new Promise((resolve) => setTimeout(resolve, PAUSE));
  return (await post(url, body, answerSeconds))?.why;
}

interface Failure {
  readonly why: string;
  readonly worthAnother: boolean;
}

/** The words of a failed request may hold the URL: they are not repeated. */
async function post(url: URL, body: string, seconds: number): Promise<Failure | undefined> {
  try {
    const answer = await fetch(url, {
      method: 'POST',
      headers: { 'content-type': 'application/json', 'user-agent': 'holdfast' },
      body,
      // A redirect would carry the event to whoever it names.
      redirect: 'manual',
      signal: AbortSignal.timeout(seconds * 1000),
    });
    await answer.body?.cancel();
    if (answer.ok) return undefined;
    const worthAnother = answer.status === 429 || answer.status >= 500;
    return { why: `it answered ${answer.status}`, worthAnother };
  } catch (error) {
    const isLate = error instanceof DOMException && error.name === 'TimeoutError';
    return isLate
      ? { why: `no answer within ${seconds} s`, worthAnother: false }
      : { why: 'no connection', worthAnother: true };
  }
}

function notTold(receiver: string, { kind }: DeployEvent, why: string) {
  return {
    kind: 'warning',
    code: 'notify/not-told',
    text: `alerting.receivers.${receiver} was not told of the deploy (${kind}): ${why}`,
  } as const;
}
