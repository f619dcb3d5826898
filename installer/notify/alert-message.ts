import { createHash } from 'node:crypto';
import type { ActiveAlert, AlertNews } from '../model/alert.ts';
import type { News } from './deliver.ts';
import { escapedForSlack, LONGEST_TEXT, type Sender } from './message.ts';

/** Events API v2, https://developer.pagerduty.com/docs/send-alert-event. */
const PAGERDUTY = 'https://events.pagerduty.com/v2/enqueue';
/** PagerDuty refuses a summary of more characters. */
const LONGEST_SUMMARY = 1024;

/** All that one receiver has to be told, as one message. */
export function newsOfAlerts(news: AlertNews, sender: Sender, pagerDuty = PAGERDUTY): News {
  const text = alertsText(news, sender);
  return {
    text,
    body: (channel) => {
      switch (channel) {
        case 'slack':
          return JSON.stringify({ text: escapedForSlack(text) });
        case 'discord':
          return JSON.stringify({ content: text, allowed_mentions: { parse: [] } });
        case 'webhook':
          return JSON.stringify({ version: 1, event: 'alerts', ...sender, ...news, text });
      }
    },
    pagerDuty: { url: pagerDuty, bodies: (key) => incidents(key, news, sender) },
  };
}

function alertsText({ firing, still, resolved }: AlertNews, sender: Sender): string {
  const counts = [
    ...(firing.length > 0 ? [`${firing.length} firing`] : []),
    ...(still.length > 0 ? [`${still.length} still firing`] : []),
    ...(resolved.length > 0 ? [`${resolved.length} resolved`] : []),
  ];
  const line = (word: string) => (alert: ActiveAlert) =>
    `${word} ${alert.severity} ${alert.name}: ${alert.summary} (since ${alert.since}, runbook ${alert.runbook})`;
  const text = [
    `${sender.project} (${sender.domain}, ${sender.environment}): ${counts.join(', ')}`,
    ...firing.map(line('FIRING')),
    ...still.map(line('STILL FIRING')),
    ...resolved.map(({ severity, name, summary }) => `RESOLVED ${severity} ${name}: ${summary}`),
  ].join('\n');
  return text.length <= LONGEST_TEXT ? text : `${text.slice(0, LONGEST_TEXT)}…`;
}

const PAGERDUTY_SEVERITIES: Readonly<Record<string, string>> = { page: 'critical', info: 'info' };

/** One incident per alert; PagerDuty itself repeats, escalates and joins what bears the same key. */
function incidents(key: string, { firing, still, resolved }: AlertNews, sender: Sender): string[] {
  const event = (action: 'trigger' | 'resolve', alert: ActiveAlert) => ({
    routing_key: key,
    event_action: action,
    dedup_key: createHash('sha256').update(`${sender.project} ${alert.key}`).digest('hex'),
  });
  const triggers = [...firing, ...still].map((alert) => ({
    ...event('trigger', alert),
    payload: {
      summary: `${sender.project}: ${alert.name}: ${alert.summary}`.slice(0, LONGEST_SUMMARY),
      timestamp: alert.since,
      source: sender.domain,
      severity: PAGERDUTY_SEVERITIES[alert.severity] ?? 'warning',
      custom_details: { runbook: alert.runbook, ...sender },
    },
  }));
  const ends = resolved.map((alert) => event('resolve', alert));
  return [...ends, ...triggers].map((one) => JSON.stringify(one));
}
