import type { AgentSettings, ScheduledJob } from '../../installer/model/agent-settings.ts';
import { RESULTS_FOLDER } from '../../installer/model/backup-result.ts';
import {
  CERTIFICATES_RESULT,
  type CertificatesResult,
} from '../../installer/model/certificates-result.ts';
import { UPDATES_RESULT, type UpdatesResult } from '../../installer/model/updates-result.ts';
import { readJson, readText } from '../files.ts';
import type { RunCounts } from '../jobs/run-counts.ts';
import type { ProbeResult } from '../net/probes.ts';
import { backupMetrics } from './backup-metrics.ts';
import type { CertificateEnd } from './certificates.ts';
import { counter, gauge, type Metric, type Sample } from './text-format.ts';

export interface MetricSources {
  readonly settings: AgentSettings;
  /** `paths.agent` */
  readonly folder: string;
  readonly counts: RunCounts;
  readonly isRunning: (job: string) => boolean;
  readonly probes: readonly ProbeResult[];
  readonly certificates: readonly CertificateEnd[];
  readonly isMaintenance: boolean;
  /** Absent on a machine without rules of ours. */
  readonly isFirewallLoaded: boolean | undefined;
  /** Seconds since the epoch. */
  readonly startedAt: number;
  /** Of parts that make their metrics themselves. */
  readonly others: readonly Metric[];
}

/** Everything that the agent tells Prometheus. */
export function collectMetrics(sources: MetricSources): Metric[] {
  const { settings, counts, probes, certificates } = sources;
  const perJob = (value: (job: ScheduledJob) => number): Sample[] =>
    settings.jobs.map((job) => ({ labels: { job: job.id }, value: value(job) }));
  const backups = settings.jobs.flatMap((job) => {
    const [noun, verb, name] = job.argv;
    return noun === 'backup' && verb === 'run' && name !== undefined ? [{ job, name }] : [];
  });
  const pending = readJson<UpdatesResult>(
    `${sources.folder}/${RESULTS_FOLDER}/${UPDATES_RESULT}`,
  )?.pending;
  const asked = readJson<CertificatesResult>(
    `${sources.folder}/${RESULTS_FOLDER}/${CERTIFICATES_RESULT}`,
  )?.certificates;
  return [
    ...backupMetrics(
      sources.folder,
      backups.map(({ name }) => name),
    ),
    counter(
      'holdfast_backup_failures_total',
      'Runs of the backup job that failed.',
      backups.map(({ job, name }) => ({
        labels: { job: name },
        value: counts.of(job.id).failures,
      })),
    ),
    gauge(
      'holdfast_job_last_run_timestamp_seconds',
      'When the job last ended.',
      perJob(({ id }) => counts.of(id).lastRun ?? Number.NaN),
    ),
    gauge(
      'holdfast_job_last_duration_seconds',
      'How long the last run of the job took.',
      perJob(({ id }) => counts.of(id).lastSeconds ?? Number.NaN),
    ),
    gauge(
      'holdfast_job_last_failed',
      'Whether the last run of the job failed.',
      perJob(({ id }) => {
        const { lastFailed } = counts.of(id);
        return lastFailed === undefined ? Number.NaN : Number(lastFailed);
      }),
    ),
    gauge(
      'holdfast_job_running',
      'Whether the job runs now.',
      perJob(({ id }) => Number(sources.isRunning(id))),
    ),
    gauge(
      'holdfast_certificate_not_after_timestamp_seconds',
      'When the certificate of the host ends.',
      certificates.map(({ name, notAfter }) => ({ labels: { name }, value: notAfter })),
    ),
    gauge(
      'holdfast_certificate_lifetime_seconds',
      'How long the certificate of the host is valid in all.',
      certificates.map(({ name, lifetime }) => ({ labels: { name }, value: lifetime })),
    ),
    gauge(
      'holdfast_certificate_refused',
      'Whether the last attempt to get the public certificate failed.',
      (asked ?? []).map(({ name, ok }) => ({ labels: { name }, value: Number(!ok) })),
    ),
    gauge(
      'holdfast_probe_success',
      'Whether the last probe got the answer that it expects.',
      probes.map(({ name, ok }) => ({ labels: { name }, value: Number(ok) })),
    ),
    gauge(
      'holdfast_probe_duration_seconds',
      'How long the last probe took.',
      probes.map(({ name, seconds }) => ({ labels: { name }, value: Number(seconds.toFixed(4)) })),
    ),
    gauge('holdfast_agent_resident_memory_bytes', 'Memory of the agent itself.', [
      { value: residentBytes() },
    ]),
    gauge('holdfast_agent_start_timestamp_seconds', 'When the agent was started.', [
      { value: sources.startedAt },
    ]),
    gauge(
      'holdfast_updates_pending',
      'Images that a newer version is known of.',
      pending === undefined ? [] : [{ value: pending.length }],
    ),
    gauge('holdfast_maintenance', 'Whether something is closed for maintenance.', [
      { value: Number(sources.isMaintenance) },
    ]),
    gauge(
      'holdfast_firewall_loaded',
      'Whether the firewall rules are in force.',
      sources.isFirewallLoaded === undefined ? [] : [{ value: Number(sources.isFirewallLoaded) }],
    ),
    ...sources.others,
  ];
}

export function residentBytes(): number {
  const kilobytes = /^VmRSS:\s+(\d+)/m.exec(readText('/proc/self/status') ?? '')?.[1];
  return Number(kilobytes) * 1_024;
}
