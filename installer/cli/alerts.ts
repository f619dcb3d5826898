import { AppError, EXIT_CODES } from '../errors.ts';
import type { Host } from '../host/host.ts';
import type { AgentSettings } from '../model/agent-settings.ts';
import {
  ALERTS_RESULT,
  type AlertNews,
  type AlertReceiver,
  type AlertsResult,
  afterTold,
  alertNews,
  receiverId,
  type ToldReceiver,
} from '../model/alert.ts';
import type { Paths } from '../model/paths.ts';
import { newsOfAlerts } from '../notify/alert-message.ts';
import { type Delivery, deliver } from '../notify/deliver.ts';
import { type FittedNews, firstOf, fittedNews } from '../notify/fitted-news.ts';
import { SecretStore } from '../secrets/store.ts';
import { openRecord, readNewest, readTold } from './alert-record.ts';
import { appliedAgentSettings } from './applied.ts';
import type { ParsedArguments } from './command.ts';
import type { CliContext } from './context.ts';

type AlertSettings = NonNullable<AgentSettings['alerts']>;

/** Milliseconds; the agent looks twice a minute. */
const KNOWN_FOR = 120_000;
/** Seconds for a mail server, where nobody waits: a slow one that is given up takes the letter all the same. */
const MAIL_SECONDS = 60;

/**
 * `holdfast alerts list`: what fires now, and who could not be told. Its exit code is that of a server that is not
 * healthy when nobody knows what fires.
 */
export async function alertsList(args: ParsedArguments, context: CliContext): Promise<number> {
  const { host } = await context.open();
  const { paths, io } = context;
  const { receivers } = await alertSettings(host, paths);
  const seen = (await readNewest<AlertsResult>(host, paths, ALERTS_RESULT)).value;
  const isKnown =
    seen !== undefined && Math.abs(context.now().getTime() - Date.parse(seen.askedAt)) <= KNOWN_FOR;
  const exitCode = isKnown ? 0 : EXIT_CODES.health;
  const { told } = await readTold(host, paths);
  const undelivered = receivers.flatMap((receiver) => {
    const { failures = 0, why } = told.receivers[receiverId(receiver)] ?? {};
    return why === undefined ? [] : [{ receiver: receiverId(receiver), failures, why }];
  });
  if (args.flag('json')) {
    const { alerts = [], answeredAt, askedAt } = seen ?? {};
    const times = { ...(askedAt && { askedAt }), ...(answeredAt && { answeredAt }) };
    io.out(`${JSON.stringify({ version: 1, isKnown, alerts, ...times, undelivered })}\n`);
    return exitCode;
  }
  for (const { severity, name, summary, since, runbook } of seen?.alerts ?? []) {
    io.out(`${severity} ${name} since ${since}: ${summary} (docs/runbooks/${runbook}.md)\n`);
  }
  if (!isKnown) {
    io.out(`It is not known what fires: the agent last asked ${seen?.askedAt ?? 'never'}.\n`);
  } else if (seen.alerts.length === 0) io.out('No alert fires.\n');
  io.out(`Prometheus last answered: ${seen?.answeredAt ?? 'never'}\n`);
  for (const { receiver, failures, why } of undelivered) {
    const what = failures === 0 ? 'was told in part' : `could not be told (${failures} times)`;
    io.out(`alerting.receivers.${receiver} ${what}: ${why}\n`);
  }
  return exitCode;
}

/** `holdfast alerts test`: one message to each receiver. @throws AppError `agent/alerts-not-taken` */
export async function alertsTest(_args: ParsedArguments, context: CliContext): Promise<number> {
  const { host } = await context.open();
  const settings = await alertSettings(host, context.paths);
  const since = context.now().toISOString();
  const alert = {
    key: 'test',
    name: 'Test',
    severity: 'info',
    summary: 'holdfast alerts test: this arrives, so alerts do.',
    runbook: 'own-rule',
    since,
  };
  const tell = await teller(host, context.paths, settings);
  const failed: string[] = [];
  for (const receiver of settings.receivers) {
    const first = (await tell(receiver, { firing: [alert], still: [], resolved: [], more: 0 })).why;
    // An incident that is only a test is closed again.
    const closing = first === undefined && receiver.channel === 'pagerduty';
    const why = closing
      ? (await tell(receiver, { firing: [], still: [], resolved: [alert], more: 0 })).why
      : first;
    context.io.out(
      `${receiverId(receiver)}: ${why === undefined ? 'taken' : `NOT taken: ${why}`}\n`,
    );
    if (why !== undefined) failed.push(receiverId(receiver));
  }
  if (settings.receivers.length === 0) {
    throw new AppError({
      code: 'agent/alerts-not-taken',
      what: 'there is nobody to tell of alerts',
      hint: 'name somebody in alerting.receivers and run: holdfast apply',
    });
  }
  if (failed.length > 0) {
    throw new AppError({
      code: 'agent/alerts-not-taken',
      what: `not every receiver took the message: ${failed.join(', ')}`,
      hint: 'set the secret anew with holdfast secrets set, then: holdfast alerts test',
    });
  }
  return 0;
}

/**
 * `holdfast alerts send`: what the agent starts when somebody has to be told. Nobody waits for another.
 * @throws AppError `agent/alerts-not-noted` when who was told could not be noted: that is told again
 */
export async function alertsSend(_args: ParsedArguments, context: CliContext): Promise<number> {
  const { host } = await context.open();
  const { paths, now, report } = context;
  const settings = await alertSettings(host, paths);
  const seen = (await readNewest<AlertsResult>(host, paths, ALERTS_RESULT)).value;
  if (seen === undefined) return 0;
  const tell = await teller(host, paths, settings);
  const record = await openRecord(host, paths, settings.receivers.map(receiverId));
  await Promise.all(
    settings.receivers.map(async (receiver) => {
      const id = receiverId(receiver);
      const before = record.of(id);
      const due = alertNews(receiver, seen.alerts, before, now().getTime());
      if (due === undefined) return;
      const news = fittedNews(due, receiver.channel);
      const delivery = await tell(receiver, news);
      // After each one: a kill makes at most the messages in hand come twice.
      await record.note(id, afterDelivery(receiver, before, news, delivery, now().toISOString()));
      if (delivery.why === undefined) return;
      const what = delivery.taken === 0 ? 'was not told' : 'was told only in part';
      const text = `alerting.receivers.${id} ${what} of alerts: ${delivery.why}`;
      report({ kind: 'warning', code: 'notify/not-told', text });
    }),
  );
  record.close();
  return 0;
}

function afterDelivery(
  { channel }: AlertReceiver,
  before: ToldReceiver | undefined,
  news: AlertNews,
  { taken, why }: Delivery,
  at: string,
): ToldReceiver {
  const isWhole = channel === 'pagerduty' ? why === undefined : taken > 0;
  // A letter that some address took is told: sent again, it would reach that one for ever.
  if (isWhole) return { ...afterTold(before, news, at), ...(why === undefined ? {} : { why }) };
  const { told } = afterTold(before, firstOf(news, taken), at);
  return { told, failures: (before?.failures ?? 0) + 1, failedAt: at, why: why ?? '' };
}

async function teller(host: Host, paths: Paths, { sender, pagerDuty }: AlertSettings) {
  const secrets = await new SecretStore(host, paths).all();
  return (receiver: AlertReceiver, news: FittedNews) =>
    deliver(
      { domain: sender.domain, mailSeconds: MAIL_SECONDS },
      receiver,
      secrets.get(receiver.secret),
      newsOfAlerts(news, sender, pagerDuty),
    );
}

async function alertSettings(host: Host, paths: Paths): Promise<AlertSettings> {
  const { alerts } = await appliedAgentSettings(host, paths);
  if (alerts !== undefined) return alerts;
  throw new AppError({
    code: 'agent/no-alerts',
    what: 'there are no alerts on this server',
    why: 'monitoring.prometheus is off, or this version has not been applied yet',
    hint: 'holdfast apply',
  });
}
