import type { BackupSettings } from '../../model/backup-settings.ts';
import type { AlertRule } from '../../model/contribution.ts';
import type { Config } from '../sections.ts';
import { backupAlerts, objectiveAlerts, userAlerts } from './configured-alerts.ts';
import type { Draft } from './draft.ts';
import { metricExpression } from './metric-words.ts';
import { walAlerts } from './wal-alerts.ts';

const GIB = 1024 ** 3;
const DAY = 86_400;
/** Somebody closed the product and knows it. */
const NOT_IN_MAINTENANCE = 'unless on () holdfast_maintenance == 1';
/** Below this a file system is too small for the rule on free bytes, such as /boot. */
const SMALL_DISK = 8 * GIB;

/** Everything that the parts of this platform can show, for the parts that this server has. */
export function ownAlerts(config: Config, backups: BackupSettings): AlertRule[] {
  const of = (component: string, drafts: readonly Draft[]): AlertRule[] =>
    drafts.map((draft) => ({ component, for: '5m', ...draft }));
  return [
    ...of('host', HOST),
    ...of('edge', EDGE),
    ...of('services', SERVICES),
    ...of('agent', AGENT),
    ...of('backups', backupAlerts(backups, config.backups.window)),
    ...(config.postgres === undefined ? [] : of('postgres', POSTGRES)),
    ...(backups.pitr === undefined ? [] : of('postgres', walAlerts(backups.pitr))),
    ...(config.redis === undefined ? [] : of('redis', REDIS)),
    ...of('objectives', objectiveAlerts(config.monitoring.slo)),
    ...of('own', userAlerts(config)),
  ];
}

const DISK = metricExpression('node_disk_percent');
const FREE = metricExpression('node_disk_free_bytes');

const HOST: readonly Draft[] = [
  {
    name: 'TargetDown',
    expression: 'up == 0',
    for: '2m',
    severity: 'warn',
    summary: 'No metrics from {{ $labels.job }} ({{ $labels.instance }}).',
    runbook: 'target-down',
  },
  {
    name: 'HostDiskFilling',
    expression: `(${DISK}) > 85`,
    severity: 'warn',
    summary: '{{ $labels.mountpoint }} is {{ $value | printf "%.0f" }} % full.',
    runbook: 'host-disk',
  },
  {
    name: 'HostDiskNearlyFull',
    expression: `(${DISK}) > 90`,
    severity: 'page',
    summary: '{{ $labels.mountpoint }} is {{ $value | printf "%.0f" }} % full.',
    runbook: 'host-disk',
  },
  {
    name: 'HostDiskFreeLow',
    expression: `(${FREE}) < ${2 * GIB} and on (device, mountpoint) node_filesystem_size_bytes > ${SMALL_DISK}`,
    severity: 'page',
    summary: '{{ $labels.mountpoint }} has {{ $value | humanize1024 }}B left.',
    runbook: 'host-disk',
  },
  {
    name: 'HostDiskFullTomorrow',
    expression: `predict_linear(node_filesystem_avail_bytes[6h], ${DAY}) < 0 and on (device, mountpoint) (${DISK}) > 50`,
    for: '1h',
    severity: 'warn',
    summary:
      '{{ $labels.mountpoint }} will be full within a day at the rate of the last six hours.',
    runbook: 'host-disk',
  },
  {
    name: 'HostMemoryHigh',
    expression: `${metricExpression('node_memory_percent')} > 85`,
    severity: 'warn',
    summary: '{{ $value | printf "%.0f" }} % of the memory is in use.',
    runbook: 'host-memory',
  },
  {
    name: 'HostCpuHigh',
    expression: `${metricExpression('node_cpu_percent')} > 80`,
    severity: 'warn',
    summary: 'The processor is {{ $value | printf "%.0f" }} % busy.',
    runbook: 'host-cpu',
  },
];

/** Days, or for certificates that live a short time a share of their life: they are renewed with a third left. */
function endsWithin(days: number, share: number): string {
  const left = metricExpression('certificate_days_left');
  const shortLife = `holdfast_certificate_lifetime_seconds / 86400 * ${share}`;
  return `(${left}) < ${days} unless on (name) (${left}) > on (name) (${shortLife})`;
}

const EDGE: readonly Draft[] = [
  {
    name: 'HttpErrorRatio',
    // A handful of requests proves nothing: six in five minutes at least.
    expression: `(${metricExpression('http_error_ratio')}) > 0.05 and sum by (service) (rate(holdfast_http_requests_total[5m])) > 0.02 ${NOT_IN_MAINTENANCE}`,
    severity: 'page',
    summary:
      '{{ $value | humanizePercentage }} of the answers of {{ $labels.service }} are errors.',
    runbook: 'http-errors',
  },
  {
    name: 'ProbeFailed',
    expression: `holdfast_probe_success == 0 ${NOT_IN_MAINTENANCE}`,
    for: '3m',
    severity: 'page',
    summary: 'The probe {{ $labels.name }} fails.',
    runbook: 'probe-failed',
  },
  {
    name: 'CertificateEndsSoon',
    expression: endsWithin(14, 0.2),
    for: '1h',
    severity: 'warn',
    summary: 'The certificate of {{ $labels.name }} ends in {{ $value | printf "%.0f" }} days.',
    runbook: 'certificate-end',
  },
  {
    name: 'CertificateNotIssued',
    expression: 'holdfast_certificate_refused == 1',
    for: '2h',
    severity: 'warn',
    summary:
      'The authority gives no certificate for {{ $labels.name }}; the one that is there stays.',
    runbook: 'certificate-not-issued',
  },
  {
    name: 'CertificateEndsVerySoon',
    expression: endsWithin(7, 0.1),
    severity: 'page',
    summary: 'The certificate of {{ $labels.name }} ends in {{ $value | printf "%.0f" }} days.',
    runbook: 'certificate-end',
  },
];

const SERVICES: readonly Draft[] = [
  {
    name: 'ServiceUnhealthy',
    expression: 'max by (service) (holdfast_replica_healthy) == 0',
    for: '1m',
    severity: 'page',
    summary: 'No replica of {{ $labels.service }} answers as it should.',
    runbook: 'replica-unhealthy',
  },
  {
    name: 'ReplicaUnhealthy',
    expression: 'holdfast_replica_healthy == 0',
    for: '3m',
    severity: 'warn',
    summary: '{{ $labels.replica }} of {{ $labels.service }} does not answer as it should.',
    runbook: 'replica-unhealthy',
  },
  {
    name: 'ReplicasRestarted',
    expression: 'increase(holdfast_replica_restarts_total[1h]) > 2',
    for: '0s',
    severity: 'warn',
    summary:
      'Replicas of {{ $labels.service }} stayed sick and were restarted several times within an hour.',
    runbook: 'replica-unhealthy',
  },
  {
    name: 'DeepHealthFailed',
    expression: 'min by (service) (holdfast_replica_deep_healthy) == 0',
    for: '3m',
    severity: 'warn',
    summary: '{{ $labels.service }} answers, but something that it depends on does not.',
    runbook: 'deep-health',
  },
  {
    name: 'ScalingAtItsEnd',
    expression: 'holdfast_scaling_at_maximum == 1 or holdfast_scaling_blocked == 1',
    for: '15m',
    severity: 'warn',
    summary: 'The load of {{ $labels.service }} asks for more replicas than there may be.',
    runbook: 'scaling',
  },
];

const AGENT: readonly Draft[] = [
  {
    name: 'AgentDown',
    expression:
      'time() - max(node_textfile_mtime_seconds) > 300 or absent(node_textfile_mtime_seconds)',
    severity: 'page',
    summary: 'The agent has written no metrics for minutes: nothing is backed up or watched.',
    runbook: 'agent-down',
  },
];

const POSTGRES: readonly Draft[] = [
  {
    name: 'PostgresDown',
    expression: 'pg_up == 0',
    for: '1m',
    severity: 'page',
    summary: 'Postgres does not answer.',
    runbook: 'postgres-down',
  },
  {
    name: 'PostgresConnectionsHigh',
    expression: `${metricExpression('pg_connections_ratio')} > 0.8`,
    severity: 'warn',
    summary: '{{ $value | humanizePercentage }} of the connections of Postgres are taken.',
    runbook: 'postgres-connections',
  },
];

const REDIS: readonly Draft[] = [
  {
    name: 'RedisDown',
    expression: 'redis_up == 0',
    for: '1m',
    severity: 'page',
    summary: 'Redis does not answer.',
    runbook: 'redis-down',
  },
];
