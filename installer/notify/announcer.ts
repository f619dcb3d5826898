import type { Announce, DeployEvent, DeployReceiver } from '../model/deploy-event.ts';
import type { Report } from '../model/events.ts';
import type { Secret } from '../model/secret.ts';
import { deliver } from './deliver.ts';
import { eventBody, eventText, pagerDutyBody, type Sender } from './message.ts';

/** Events API v2, https://developer.pagerduty.com/docs/send-change-events. */
const PAGERDUTY = 'https://events.pagerduty.com/v2/change/enqueue';

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
    const { sender } = options;
    const news = {
      text: eventText(event, sender),
      body: (channel: 'slack' | 'discord' | 'webhook') => eventBody(channel, event, sender),
      pagerDuty: {
        url: options.pagerDuty ?? PAGERDUTY,
        bodies: (key: string) => [pagerDutyBody(key, event, sender)],
      },
    };
    const delivery = { ...options, domain: sender.domain };
    await Promise.all(
      receivers.map(async (receiver) => {
        const { why } = await deliver(delivery, receiver, values.get(receiver.secret), news);
        if (why !== undefined) report(notTold(receiver.name, event, why));
      }),
    );
  };
}

function notTold(receiver: string, { kind }: DeployEvent, why: string) {
  return {
    kind: 'warning',
    code: 'notify/not-told',
    text: `alerting.receivers.${receiver} was not told of the deploy (${kind}): ${why}`,
  } as const;
}
