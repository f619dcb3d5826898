import { AppError } from '../errors.ts';
import type { Host } from '../host/host.ts';
import type { AgentSettings } from '../model/agent-settings.ts';
import {
  ALERTS_RESULT,
  ALERTS_TOLD,
  type AlertNews,
  type AlertsResult,
  afterTold,
  alertNews,
  receiverId,
  type ToldAlerts,
  type ToldReceiver,
} from '../model/alert.ts';
import type { Paths } from '../model/paths.ts';
import { newsOfAlerts } from '../notify/alert-message.ts';
import { deliver } from '../notify/deliver.ts';
import { SecretStore } from '../secrets/store.ts';
import { appliedAgentSettings } from './applied.ts';
import type { ParsedArguments } from './command.ts';
import type { CliContext } from './context.ts';

type AlertSettings = NonNullable<AgentSettings['alerts']>;

/** `holdfast alerts list`: what fires now, and who could not be told. */
export async function alertsList(args: ParsedArguments, context: CliContext): Promise<number> {
  const { host } = await context.open();
  const { paths, io } = context;
  const { receivers } = await alertSettings(host, paths);
  const seen = await readJson<AlertsResult>(host, `${paths.agent}/${ALERTS_RESULT}`);
  const told = await readTold(host, paths);
  const undelivered = receivers.flatMap((receiver) => {
    const { failures = 0, why = '' } = told.receivers[receiverId(receiver)] ?? {};
    return failures === 0 ? [] : [{ receiver: receiverId(receiver), failures, why }];
  });
  if (args.flag('json')) {
    const { alerts = [], answeredAt } = seen ?? {};
    const answered = answeredAt === undefined ? {} : { answeredAt };
    io.out(`${JSON.stringify({ version: 1, alerts, ...answered, undelivered })}\n`);
    return 0;
  }
  for (const { severity, name, summary, since, runbook } of seen?.alerts ?? []) {
    io.out(`${severity} ${name} since ${since}: ${summary} (docs/runbooks/${runbook}.md)\n`);
  }
  if ((seen?.alerts.length ?? 0) === 0) io.out('No alert fires.\n');
  io.out(`Prometheus last answered: ${seen?.answeredAt ?? 'never'}\n`);
  for (const { receiver, failures, why } of undelivered) {
    io.out(`alerting.receivers.${receiver} could not be told (${failures} times): ${why}\n`);
  }
  return 0;
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
    const first = await tell(receiver, { firing: [alert], still: [], resolved: [] });
    // An incident that is only a test is closed again.
    const closing = first === undefined && receiver.channel === 'pagerduty';
    const why = closing
      ? await tell(receiver, { firing: [], still: [], resolved: [alert] })
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

/** `holdfast alerts send`: what the agent starts when somebody has to be told. */
export async function alertsSend(_args: ParsedArguments, context: CliContext): Promise<number> {
  const { host } = await context.open();
  const { paths, now, report } = context;
  const settings = await alertSettings(host, paths);
  const seen = await readJson<AlertsResult>(host, `${paths.agent}/${ALERTS_RESULT}`);
  if (seen === undefined) return 0;
  const tell = await teller(host, paths, settings);
  const before = await readTold(host, paths);
  const known = new Set(settings.receivers.map(receiverId));
  let told: ToldAlerts = {
    version: 1,
    receivers: Object.fromEntries(Object.entries(before.receivers).filter(([id]) => known.has(id))),
  };
  for (const receiver of settings.receivers) {
    const id = receiverId(receiver);
    const record = told.receivers[id];
    const news = alertNews(receiver, seen.alerts, record, now().getTime());
    if (news === undefined) continue;
    const why = await tell(receiver, news);
    const at = now().toISOString();
    const after = why === undefined ? afterTold(record, news, at) : afterFailure(record, why, at);
    told = { ...told, receivers: { ...told.receivers, [id]: after } };
    // After each one: a kill makes at most one message come twice.
    await host.write(`${paths.agent}/${ALERTS_TOLD}`, `${JSON.stringify(told)}\n`, {
      mode: 0o600,
      uid: 0,
      gid: 0,
    });
    if (why !== undefined) {
      const text = `alerting.receivers.${id} was not told of alerts: ${why}`;
      report({ kind: 'warning', code: 'notify/not-told', text });
    }
  }
  return 0;
}

function afterFailure(record: ToldReceiver | undefined, why: string, at: string): ToldReceiver {
  const { told = [], failures = 0 } = record ?? {};
  return { told, failures: failures + 1, failedAt: at, why };
}

async function teller(host: Host, paths: Paths, { sender, pagerDuty }: AlertSettings) {
  const secrets = await new SecretStore(host, paths).all();
  return (receiver: AlertSettings['receivers'][number], news: AlertNews) =>
    deliver(
      { domain: sender.domain },
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

async function readTold(host: Host, paths: Paths): Promise<ToldAlerts> {
  const told = await readJson<ToldAlerts>(host, `${paths.agent}/${ALERTS_TOLD}`);
  return told ?? { version: 1, receivers: {} };
}

async function readJson<T>(host: Host, path: string): Promise<T | undefined> {
  const bytes = await host.read(path);
  return bytes === undefined ? undefined : (JSON.parse(new TextDecoder().decode(bytes)) as T);
}
