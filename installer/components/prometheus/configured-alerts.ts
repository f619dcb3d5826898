import type { BackupSettings } from '../../model/backup-settings.ts';
import { allowedLoss } from '../../model/lost-time.ts';
import { formatDuration } from '../../model/units.ts';
import type { Config } from '../sections.ts';
import { longestGap } from './cron-gap.ts';
import type { Draft } from './draft.ts';
import { metricExpression } from './metric-words.ts';

/** Seconds. */
const DAY = 86_400;

/** Ages of backups and of the restore test, by their own schedules. */
export function backupAlerts(
  settings: BackupSettings,
  window: Config['backups']['window'],
): Draft[] {
  const waits = window !== undefined;
  const { jobs, restoreTestCron, drillCron } = settings;
  const failures = 'holdfast_backup_failures_total';
  const ages = jobs.map((job): Draft => {
    const limit = allowedAge(job.cron, waits);
    const success = `holdfast_backup_last_success_timestamp_seconds{job="${job.name}"}`;
    return {
      name: 'BackupTooOld',
      expression: olderThan(success, limit),
      for: '10m',
      severity: 'page',
      summary: `The backup ${job.name} has not succeeded for more than ${formatDuration(limit)}.`,
      runbook: 'backup-too-old',
    };
  });
  if (jobs.length === 0) return [];
  const failed: Draft = {
    name: 'BackupFailed',
    // A counter that appears with its first failure has no increase yet.
    expression: `increase(${failures}[1h]) > 0 or (${failures} > 0 unless ${failures} offset 1h)`,
    for: '0s',
    severity: 'warn',
    summary: 'The backup {{ $labels.job }} has failed.',
    runbook: 'backup-failed',
  };
  const storeless: Draft = {
    name: 'StoreUnreachable',
    expression: 'holdfast_backup_store_unreachable == 1',
    for: '0s',
    severity: 'page',
    summary: 'The backup {{ $labels.job }} has failed: its store cannot be used.',
    runbook: 'store-unreachable',
  };
  return [
    ...ages,
    failed,
    storeless,
    GONE,
    ...(settings.stores.some(({ kind }) => kind === 'directory') ? FILLING : []),
    ...missingKeys(settings),
    ...(restoreTestCron === undefined ? [] : untested(restoreTestCron, jobs, waits)),
    ...(drillCron === undefined ? [] : [undrilled(drillCron, waits)]),
    ...missedObjectives(settings),
  ];
}

/** For a day after each: who knows it by then need not be woken again, and `status` goes on saying it. */
const GONE: Draft = {
  name: 'BackupsGone',
  expression: 'holdfast_backup_gone > (holdfast_backup_gone offset 1d or holdfast_backup_gone * 0)',
  for: '0s',
  severity: 'page',
  summary:
    '{{ $value }} backups of {{ $labels.job }} are gone from the store, and holdfast did not remove them.',
  runbook: 'backups-gone',
};

const FREE = 'holdfast_backup_store_free_bytes';
const FREE_SHARE = `${FREE} / holdfast_backup_store_size_bytes`;
/**
 * Of stores that are folders; their disk need not be one that the host's own rules see. Backups come by the day, so
 * the forecast is of a week, by a week, and waits for three days: the first backups alone look like a flood.
 */
const FILLING: readonly Draft[] = [
  {
    name: 'StoreFilling',
    expression: `${FREE_SHARE} < 0.15`,
    for: '10m',
    severity: 'warn',
    summary:
      'The disk of the backup store {{ $labels.store }} has {{ $value | humanizePercentage }} left.',
    runbook: 'store-filling',
  },
  {
    name: 'StoreFullInAWeek',
    expression: `predict_linear(${FREE}[7d], ${7 * DAY}) < 0 and ${FREE_SHARE} < 0.5 and ${FREE} offset 3d`,
    for: '1h',
    severity: 'warn',
    summary:
      'The backup store {{ $labels.store }} will be full within a week at the rate of the last one.',
    runbook: 'store-filling',
  },
];

/** What only this server can read is lost together with it. */
function missingKeys({ encryption, recipients, stores }: BackupSettings): Draft[] {
  if (encryption === 'none') return [];
  const missing = (expression: string, summary: string): Draft => ({
    name: 'RecoveryKeyMissing',
    expression,
    for: '24h',
    severity: 'warn',
    summary,
    runbook: 'recovery-key-missing',
  });
  const isLocalOnly = stores.every(({ kind }) => kind === 'directory');
  if (recipients.length === 0) {
    const summary = 'No recovery key: the backups can be read by this server alone.';
    return isLocalOnly ? [] : [missing('vector(1)', summary)];
  }
  const proven = 'holdfast_recovery_key_proven_timestamp_seconds';
  return recipients.map((recipient) =>
    missing(
      // Nobody can tell while the agent is silent, and who has declined was told what it means.
      `absent(${proven}{recipient="${recipient}"}) and on() holdfast_agent_start_timestamp_seconds unless on() holdfast_recovery_key_declined_timestamp_seconds`,
      'Nobody has shown that they hold the recovery key {{ $labels.recipient }}.',
    ),
  );
}

/** Dumps and points in time are proved apart from each other. */
function untested(cron: string, jobs: BackupSettings['jobs'], waits: boolean): Draft[] {
  const limit = allowedAge(cron, waits);
  const postgres = jobs.filter(({ source }) => source.kind === 'postgres');
  const proof = (kind: string, what: string): Draft => ({
    name: 'RestoreTestFailed',
    expression: olderThan(
      `holdfast_restore_test_last_success_timestamp_seconds{kind="${kind}"}`,
      limit,
    ),
    for: '10m',
    severity: 'page',
    summary: `No restore of ${what} has been proved for more than ${formatDuration(limit)}.`,
    runbook: 'restore-test-failed',
  });
  const damaged: Draft = {
    name: 'BaseBackupDamaged',
    expression: 'holdfast_restore_test_damaged_bases > 0',
    for: '0s',
    severity: 'page',
    summary: 'The newest base backup is damaged: an older one had to lead to the newest moment.',
    runbook: 'restore-test-failed',
  };
  return [
    ...(postgres.some(({ method }) => method !== 'physical') ? [proof('dump', 'a dump')] : []),
    ...(postgres.some(({ method }) => method === 'physical')
      ? [proof('point-in-time', 'the newest point in time'), damaged]
      : []),
  ];
}

function undrilled(cron: string, waits: boolean): Draft {
  const limit = allowedAge(cron, waits);
  return {
    name: 'DrillOverdue',
    expression: olderThan('holdfast_drill_last_success_timestamp_seconds', limit),
    for: '10m',
    severity: 'warn',
    summary: `No full recovery has been rehearsed for more than ${formatDuration(limit)}.`,
    runbook: 'drill-overdue',
  };
}

/** `objectives`, else what point-in-time recovery is set to, against what the restore tests measured. */
function missedObjectives(settings: BackupSettings): Draft[] {
  const { rto } = settings.objectives;
  const loss = allowedLoss(settings);
  const missed = (name: string, metric: string, limit: number, summary: string): Draft => ({
    name,
    expression: `max(${metric}) > ${limit}`,
    for: '0s',
    severity: 'warn',
    summary,
    runbook: 'recovery-objectives',
  });
  return [
    ...(rto === undefined
      ? []
      : [
          missed(
            'RestoreTooSlow',
            metricExpression('restore_test_seconds'),
            rto,
            `Coming back took {{ $value | humanizeDuration }} in the last restore test; ${formatDuration(rto)} was promised.`,
          ),
        ]),
    ...(loss === undefined
      ? []
      : [
          missed(
            'RecoveryPointTooOld',
            'holdfast_restore_test_lost_seconds',
            loss,
            `{{ $value | humanizeDuration }} of data would have been lost at the last restore test; ${formatDuration(settings.objectives.rpo ?? settings.pitr?.rpoSeconds ?? loss)} was promised.`,
          ),
        ]),
  ];
}

/** Also fires when there never was a success, once the agent has run long enough for one. */
function olderThan(timestamp: string, seconds: number): string {
  return `time() - ${timestamp} > ${seconds} or (absent(${timestamp}) and on () time() - holdfast_agent_start_timestamp_seconds > ${seconds})`;
}

/**
 * The pause of the schedule, and room for the run itself, jitter and a change of the clock. One that waits for a
 * window of each day may start a day after the last, however often its schedule names.
 */
function allowedAge(cron: string, waitsForWindow: boolean): number {
  const gap = Math.max(longestGap(cron), waitsForWindow ? DAY : 0);
  return gap + Math.max(2 * 3_600, Math.ceil(gap / 10 / 3_600) * 3_600);
}

/**
 * What was promised. The error budget is that of 30 days; 14.4 times its pace, seen over an hour and still
 * going on, spends 2 % of it in that hour (Google, The Site Reliability Workbook, chapter 5).
 */
export function objectiveAlerts(objectives: Config['monitoring']['slo']): Draft[] {
  const { p95, availability } = objectives ?? {};
  const errors = (window: string) =>
    `sum by (service) (rate(holdfast_http_requests_total{code_class="5xx"}[${window}])) / sum by (service) (rate(holdfast_http_requests_total[${window}]))`;
  const slow: Draft = {
    name: 'AnswersTooSlow',
    expression: `${metricExpression('http_p95_seconds')} > ${p95}`,
    for: '10m',
    severity: 'warn',
    summary: `95 % of the answers of {{ $labels.service }} take up to {{ $value | printf "%.2f" }} s; ${p95} s was promised.`,
    runbook: 'objectives',
  };
  const share = Number((14.4 * (1 - (availability ?? 0) / 100)).toFixed(6));
  const burning: Draft = {
    name: 'ErrorBudgetBurning',
    expression: `(${errors('1h')}) > ${share} and (${errors('5m')}) > ${share}`,
    for: '2m',
    severity: 'page',
    summary: `{{ $value | humanizePercentage }} of the answers of {{ $labels.service }} in the last hour were errors; ${availability} % good ones were promised.`,
    runbook: 'objectives',
  };
  // With a laxer promise the fast pace would be more than every answer.
  const canBurn = availability !== undefined && share < 1;
  return [...(p95 === undefined ? [] : [slow]), ...(canBurn ? [burning] : [])];
}

/** The rules of `monitoring.rules`. */
export function userAlerts(config: Config): Draft[] {
  return config.monitoring.rules.map(({ name, metric, op, value, for: holds, severity }) => ({
    name,
    expression: `(${metricExpression(metric)}) ${op} ${value}`,
    for: formatDuration(holds),
    severity,
    summary: `${metric} is {{ $value }}, against the rule ${op} ${value}.`,
    runbook: 'own-rule',
  }));
}
