import type { DeployReceiver } from '../../model/deploy-event.ts';
import type { Config } from '../sections.ts';

const CHANNELS = ['slack', 'discord', 'webhook'] as const;

/** Who is told of deploys, each channel by itself. Mail and PagerDuty are for alerts. */
export function deployReceivers({ alerting }: Pick<Config, 'alerting'>): DeployReceiver[] {
  return Object.entries(alerting.receivers).flatMap(([name, receiver]) =>
    receiver.severities.includes('deploy')
      ? CHANNELS.flatMap((channel) => {
          const secret = receiver[channel];
          return secret === undefined ? [] : [{ name, channel, secret }];
        })
      : [],
  );
}

/** Names of the receivers that wait for what is not sent yet: alerts, or deploys by mail or PagerDuty. */
export function unservedReceivers({ alerting }: Pick<Config, 'alerting'>): string[] {
  return Object.entries(alerting.receivers)
    .filter(
      ([, { severities, email, pagerduty }]) =>
        severities.some((severity) => severity !== 'deploy') ||
        email !== undefined ||
        pagerduty !== undefined,
    )
    .map(([name]) => name);
}
