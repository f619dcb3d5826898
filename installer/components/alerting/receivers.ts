import type { AlertReceiver } from '../../model/alert.ts';
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

/** Everybody, each channel by itself, with what it is told of. */
export function allReceivers({ alerting }: Pick<Config, 'alerting'>): AlertReceiver[] {
  return Object.entries(alerting.receivers).flatMap(([name, receiver]) =>
    channelsOf(name, receiver, alerting.smtp).map((channel) => ({
      ...channel,
      severities: receiver.severities,
    })),
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

/** Names of the receivers that wait for alerts, where nothing measures. */
export function unservedReceivers({
  alerting,
  monitoring,
}: Pick<Config, 'alerting' | 'monitoring'>): string[] {
  if (monitoring.prometheus.enabled) return [];
  return Object.entries(alerting.receivers)
    .filter(([, { severities }]) => severities.some((severity) => severity !== 'deploy'))
    .map(([name]) => name);
}
