import type { DeployEvent, DeployEventKind } from '../model/deploy-event.ts';

/** Whose server speaks. */
export interface Sender {
  readonly project: string;
  readonly domain: string;
  readonly environment: string;
}

const VERBS: Readonly<Record<DeployEventKind, string>> = {
  started: 'deploy started',
  succeeded: 'deployed',
  failed: 'deploy FAILED',
  'rolled-back': 'rolled back',
  scaled: 'scaled',
};
/** Discord takes 2,000 characters in a message. */
export const LONGEST_TEXT = 1900;

/** One event as a line or two for people. */
export function eventText(event: DeployEvent, { project, domain, environment }: Sender): string {
  const { kind, changes, seconds, reason, who, command } = event;
  const list = changes.map(({ name, version, replicas }) =>
    kind === 'scaled' ? `${name} to ${replicas} replicas` : `${name} ${version}`,
  );
  const time = seconds === undefined ? '' : ` after ${Math.round(seconds)} s`;
  const lines = [
    `${project} (${domain}, ${environment}): ${VERBS[kind]} ${list.join(', ')}${time}`,
    ...(reason === undefined ? [] : [reason]),
    `by ${who}: ${command}`,
  ];
  const text = lines.join('\n');
  return text.length <= LONGEST_TEXT ? text : `${text.slice(0, LONGEST_TEXT)}…`;
}

/** The body that this kind of receiver reads, as JSON. Nobody is mentioned by what an image is called. */
export function eventBody(
  channel: 'slack' | 'discord' | 'webhook',
  event: DeployEvent,
  sender: Sender,
): string {
  const text = eventText(event, sender);
  switch (channel) {
    case 'slack':
      return JSON.stringify({ text: escapedForSlack(text) });
    case 'discord':
      return JSON.stringify({ content: text, allowed_mentions: { parse: [] } });
    case 'webhook':
      return JSON.stringify({ version: 1, event: 'deploy', ...sender, ...event, text });
  }
}

/** PagerDuty refuses a summary of more characters. */
const LONGEST_SUMMARY = 1024;

/**
 * A change, which PagerDuty shows beside incidents and wakes nobody for: a deploy that failed has left the release
 * before serving.
 */
export function pagerDutyBody(key: string, event: DeployEvent, sender: Sender): string {
  const [summary = ''] = eventText(event, sender).split('\n', 1);
  const { at, ...details } = event;
  return JSON.stringify({
    routing_key: key,
    payload: {
      summary: summary.slice(0, LONGEST_SUMMARY),
      timestamp: at,
      source: sender.domain,
      custom_details: { ...details, ...sender },
    },
  });
}

export function escapedForSlack(text: string): string {
  return text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;');
}
