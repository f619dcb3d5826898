import { createHash } from 'node:crypto';
import type { ActiveAlert, AlertNews } from '../model/alert.ts';
import type { News } from './deliver.ts';
import { alertLine, chatLine, type FittedNews } from './fitted-news.ts';
import { escapedForSlack, type Sender } from './message.ts';

/** Events API v2, https://developer.pagerduty.com/docs/send-alert-event. */
const PAGERDUTY = 'https://events.pagerduty.com/v2/enqueue';
/** PagerDuty refuses a summary of more characters. */
const LONGEST_SUMMARY = 1024;

/** What of the news fits the channel, as one message. */
export function newsOfAlerts(news: FittedNews, sender: Sender, pagerDuty = PAGERDUTY): News {
  const text = alertsText(news, sender, alertLine);
  const chat = alertsText(news, sender, chatLine);
  return {
    text,
    body: (channel) => {
      switch (channel) {
        case 'slack':
          return JSON.stringify({ text: escapedForSlack(chat) });
        case 'discord':
          return JSON.stringify({ content: chat, allowed_mentions: { parse: [] } });
        case 'webhook':
          return JSON.stringify({ version: 1, event: 'alerts', ...sender, ...news, text });
      }
    },
    pagerDuty: { url: pagerDuty, bodies: (key) => incidents(key, news, sender) },
  };
}

function alertsText(
  { firing, still, resolved, more }: FittedNews,
  sender: Sender,
  line: typeof alertLine,
): string {
  const counts = [
    ...(firing.length > 0 ? [`${firing.length} firing`] : []),
    ...(still.length > 0 ? [`${still.length} still firing`] : []),
    ...(resolved.length > 0 ? [`${resolved.length} resolved`] : []),
    ...(more > 0 ? [`${more} more to follow`] : []),
  ];
  return [
    `${sender.project} (${sender.domain}, ${sender.environment}): ${counts.join(', ')}`,
    ...firing.map((alert) => line('FIRING', alert)),
    ...still.map((alert) => line('STILL FIRING', alert)),
    ...resolved.map((alert) => line('RESOLVED', alert)),
  ].join('\n');
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
  // The order of `firstOf`: an end matters less than a beginning.
  return [...triggers, ...ends].map((one) => JSON.stringify(one));
}
