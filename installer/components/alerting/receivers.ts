import type { DeployReceiver } from '../../model/deploy-event.ts';
import type { Config } from '../sections.ts';
import type { Receiver } from './section.ts';

const HOOKS = ['slack', 'discord', 'webhook', 'pagerduty'] as const;

/** Who is told of deploys, each channel by itself. */
export function deployReceivers({ alerting }: Pick<Config, 'alerting'>): DeployReceiver[] {
  return Object.entries(alerting.receivers).flatMap(([name, receiver]) =>
    receiver.severities.includes('deploy') ? channelsOf(name, receiver, alerting.smtp) : [],
  );
}

function channelsOf(
  name: string,
  receiver: Receiver,
  { urlSecret, from }: Config['alerting']['smtp'],
): DeployReceiver[] {
  const hooks = HOOKS.flatMap((channel) => {
    const secret = receiver[channel];
    return secret === undefined ? [] : [{ name, channel, secret }];
  });
  if (receiver.email === undefined) return hooks;
  const sender = from === undefined ? {} : { from };
  return [...hooks, { name, channel: 'email', secret: urlSecret, to: receiver.email, ...sender }];
}

/** Names of the receivers that wait for alerts, which are not sent yet. */
export function unservedReceivers({ alerting }: Pick<Config, 'alerting'>): string[] {
  return Object.entries(alerting.receivers)
    .filter(([, { severities }]) => severities.some((severity) => severity !== 'deploy'))
    .map(([name]) => name);
}
