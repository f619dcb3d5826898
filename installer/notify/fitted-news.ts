import {
  type ActiveAlert,
  type AlertNews,
  type AlertReceiver,
  gravestFirst,
} from '../model/alert.ts';
import { LONGEST_TEXT } from './message.ts';

/** News that fit one message, and how many alerts are left for the next one. */
export interface FittedNews extends AlertNews {
  readonly more: number;
}

/** Alerts of one message where characters do not matter. */
const MOST_AT_ONCE = 50;
/** Characters for the first line of a chat message: who speaks, and the counts. */
const ROOM_FOR_HEAD = 500;
/** Characters of one alert in a chat message: three fit into any. */
const LONGEST_LINE = 400;
/** Of a message, while there are ends to tell: alerts that never stop must not keep them out. */
const SHARE_OF_ENDS = 1 / 3;

/** The gravest first, and ends with them; what is left out is due again at the next look. */
export function fittedNews(news: AlertNews, channel: AlertReceiver['channel']): FittedNews {
  const { firing, still, resolved } = news;
  const isChat = channel === 'slack' || channel === 'discord';
  const room = isChat ? LONGEST_TEXT - ROOM_FOR_HEAD : MOST_AT_ONCE;
  const chosen = new Set<ActiveAlert>();
  let left = room;
  const take = (alerts: readonly ActiveAlert[], spared: number): void => {
    for (const alert of alerts) {
      if (chosen.has(alert)) continue;
      const size = isChat ? chatLine('STILL FIRING', alert).length + 1 : 1;
      if (size > left - spared) return;
      chosen.add(alert);
      left -= size;
    }
  };
  const active = gravestFirst([...firing, ...still]);
  take(active, resolved.length > 0 ? room * SHARE_OF_ENDS : 0);
  take(resolved, 0);
  take(active, 0);
  const isChosen = (alert: ActiveAlert) => chosen.has(alert);
  return {
    firing: firing.filter(isChosen),
    still: still.filter(isChosen),
    resolved: resolved.filter(isChosen),
    more: active.length + resolved.length - chosen.size,
  };
}

/** The first alerts of the news, in the order in which PagerDuty is told of them. */
export function firstOf({ firing, still, resolved }: AlertNews, count: number): AlertNews {
  const first = new Set([...firing, ...still, ...resolved].slice(0, count));
  const isFirst = (alert: ActiveAlert) => first.has(alert);
  return {
    firing: firing.filter(isFirst),
    still: still.filter(isFirst),
    resolved: resolved.filter(isFirst),
  };
}

export type Word = 'FIRING' | 'STILL FIRING' | 'RESOLVED';

/** One alert for people. */
export function alertLine(word: Word, alert: ActiveAlert): string {
  const { severity, name, summary, since, runbook } = alert;
  const more = word === 'RESOLVED' ? '' : ` (since ${since}, runbook ${runbook})`;
  return `${word} ${severity} ${name}: ${summary}${more}`;
}

/** The same, as long as a chat message allows. */
export function chatLine(word: Word, alert: ActiveAlert): string {
  const line = alertLine(word, alert);
  return line.length <= LONGEST_LINE ? line : `${line.slice(0, LONGEST_LINE - 1)}…`;
}
