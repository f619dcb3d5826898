import { readKeyRecord } from '../backup/recovery-key.ts';
import { readStoredBackups } from '../backup/stored-by-us.ts';
import type { Host } from '../host/host.ts';
import {
  type BackupResult,
  type PointInTimeProof,
  RESTORE_TEST_RESULT,
  RESULTS_FOLDER,
  type RestoreTestResult,
} from '../model/backup-result.ts';
import type { BackupJob, BackupSettings } from '../model/backup-settings.ts';
import { DRILL_RESULT, type DrillResult } from '../model/drill-result.ts';
import type { Maintenance } from '../model/maintenance.ts';
import type { Paths } from '../model/paths.ts';
import { goneLately } from '../model/stored-backups.ts';
import { type PendingUpdate, UPDATES_RESULT, type UpdatesResult } from '../model/updates-result.ts';
import { agentRuns } from './agent-runs.ts';
import { appliedAgentSettings, appliedBackupSettings } from './applied.ts';
import { ageProblems } from './backup-age.ts';
import {
  type CertificateProblem,
  type CertificateStatus,
  certificateProblems,
  certificateStatus,
} from './certificate-status.ts';
import type { Server } from './context.ts';
import { maintenanceState } from './maintenance-state.ts';
import { watchedProblems } from './replica-status.ts';
import { proofProblems, provenRestores, rehearsal } from './restore-proof.ts';
import { type ServiceStatus, serviceStatus } from './service-status.ts';

/** What `holdfast status` shows; the shape of `--json`, version 1. Times are UTC. */
export interface StatusReport {
  readonly version: 1;
  readonly project: string;
  readonly host: string;
  readonly services: readonly ServiceStatus[];
  readonly backups: readonly BackupStatus[];
  readonly restoreTest?: {
    readonly finishedAt: string;
    /** Measured recovery time. */
    readonly seconds: number;
    readonly rows: number;
    readonly ok: boolean;
  };
  /** The last proof that the newest point in time comes back. */
  readonly pointInTime?: Pick<
    PointInTimeProof,
    'finishedAt' | 'base' | 'seconds' | 'lostSeconds' | 'lostMore' | 'rows'
  >;
  /** The last recovery that was rehearsed to its end. */
  readonly drill?: {
    readonly finishedAt: string;
    readonly seconds: number;
    readonly ok: boolean;
  };
  /** What the config promises, seconds. */
  readonly objectives: BackupSettings['objectives'];
  readonly certificates: readonly CertificateStatus[];
  /** Public certificates that were not given at the last attempt. */
  readonly certificateProblems: readonly CertificateProblem[];
  readonly disk: { readonly usedPercent: number; readonly freeBytes: number };
  /** What is newer than what runs; empty also before the first check. */
  readonly pendingUpdates: readonly PendingUpdate[];
  /** Absent where backups are not encrypted, or stay on this machine and nobody was asked about a key. */
  readonly recoveryKey?: RecoveryKeyStatus;
  readonly agent: 'running' | 'not running';
  /** Absent when nothing is closed. */
  readonly maintenance?: Maintenance;
  /** Everything that is wrong, one sentence each; empty means healthy. */
  readonly problems: readonly string[];
}

/** Whether backups can be opened when this server is gone. */
export interface RecoveryKeyStatus {
  /** How many keys of the user backups are encrypted to. */
  readonly recipients: number;
  /** How many of them were shown to be in somebody's hands. */
  readonly proven: number;
  /** When somebody chose to go on without such a proof. */
  readonly declinedAt?: string;
}

export interface BackupStatus {
  readonly job: string;
  readonly ok: boolean;
  readonly lastSuccessAt?: string;
  readonly lastVerifiedAt?: string;
  /** Bytes as stored. */
  readonly bytes?: number;
  /** Ids of those that this server stored and somebody else removed in the last seven days; absent when there are none. */
  readonly gone?: readonly string[];
}

const DISK_WARNING_PERCENT = 85;

export async function statusReport(server: Server, paths: Paths, now: Date): Promise<StatusReport> {
  const { host } = server;
  const settings = await appliedAgentSettings(host, paths);
  const backup = await appliedBackupSettings(host, paths);
  const { objectives } = backup;
  const [
    services,
    backups,
    restoreTest,
    drill,
    updates,
    certificates,
    refused,
    disk,
    isAgentRunning,
    maintenance,
    recoveryKey,
  ] = await Promise.all([
    serviceStatus(server, paths),
    Promise.all(backup.jobs.map((job) => backupStatus(host, paths, job, now))),
    readResult<RestoreTestResult>(host, paths, RESTORE_TEST_RESULT),
    readResult<DrillResult>(host, paths, DRILL_RESULT),
    readResult<UpdatesResult>(host, paths, UPDATES_RESULT),
    certificateStatus(host, settings.certificates, now),
    certificateProblems(host, paths, now),
    diskStatus(host, paths.state),
    agentRuns(host, paths),
    maintenanceState(host, paths),
    recoveryKeyStatus(host, paths, backup),
  ]);
  const agent = isAgentRunning ? 'running' : 'not running';
  return {
    version: 1,
    project: settings.project,
    host: host.name,
    services,
    backups,
    ...provenRestores(restoreTest),
    ...rehearsal(drill),
    objectives,
    certificates,
    certificateProblems: refused,
    disk,
    pendingUpdates: updates?.pending ?? [],
    ...(recoveryKey === undefined ? {} : { recoveryKey }),
    agent,
    ...(maintenance === undefined ? {} : { maintenance }),
    problems: [
      ...services
        .filter(({ healthy, replicas }) => healthy < replicas)
        .map(
          ({ service, healthy, replicas, state }) =>
            `${service}: ${healthy} of ${replicas} healthy (${state})`,
        ),
      ...services.flatMap(({ service, watched: seen }) =>
        seen === undefined ? [] : watchedProblems(service, seen),
      ),
      ...backups
        .filter(({ ok }) => !ok)
        .map(({ job, lastSuccessAt }) =>
          lastSuccessAt === undefined
            ? `job ${job} has no backup yet: holdfast backup run ${job}`
            : `the last backup of job ${job} failed: holdfast backup run ${job}`,
        ),
      ...ageProblems(backups, backup, settings, now),
      ...backups.flatMap(goneProblems),
      ...proofProblems(restoreTest, backup),
      ...(drill?.lastRun.ok === false ? [`the last drill failed: ${drill.lastRun.what}`] : []),
      ...certificates
        .filter(({ isLate }) => isLate)
        .map(({ name, daysLeft }) => `the certificate of ${name} ends in ${daysLeft} days`),
      ...refused.map(
        ({ name, what, hint }) => `no new public certificate for ${name}: ${what}; ${hint}`,
      ),
      ...(disk.usedPercent > DISK_WARNING_PERCENT
        ? [`the disk is ${disk.usedPercent} % full`]
        : []),
      ...(agent === 'running' ? [] : ['the agent is not running: no backups, no probes']),
    ],
  };
}

/** That backups of a job disappeared. */
export function goneProblems({ job, gone = [] }: BackupStatus): string[] {
  if (gone.length === 0) return [];
  return [
    `somebody else removed ${gone.join(', ')} of job ${job}: holdfast backup list shows what is left; docs/runbooks/backups-gone.md`,
  ];
}

async function backupStatus(
  host: Host,
  paths: Paths,
  job: BackupJob,
  now: Date,
): Promise<BackupStatus> {
  const result = await readResult<BackupResult>(host, paths, `${job.name}.json`);
  const gone = goneLately((await readStoredBackups(host, paths, job)).gone, now);
  const last = result?.lastSuccess;
  return {
    job: job.name,
    ok: last !== undefined && result?.lastRun.ok === true,
    ...(last === undefined ? {} : { lastSuccessAt: last.finishedAt, bytes: last.bytes }),
    ...(last?.verifiedAt === undefined ? {} : { lastVerifiedAt: last.verifiedAt }),
    ...(gone.length === 0 ? {} : { gone: gone.map(({ id }) => id) }),
  };
}

async function recoveryKeyStatus(
  host: Host,
  paths: Paths,
  { encryption, recipients, stores }: BackupSettings,
): Promise<RecoveryKeyStatus | undefined> {
  const { provenAt, declinedAt } = await readKeyRecord(host, paths);
  const isLocalOnly = stores.every(({ kind }) => kind === 'directory');
  if (encryption === 'none') return undefined;
  if (isLocalOnly && recipients.length === 0 && declinedAt === undefined) return undefined;
  return {
    recipients: recipients.length,
    proven: recipients.filter((recipient) => provenAt[recipient] !== undefined).length,
    ...(declinedAt === undefined ? {} : { declinedAt }),
  };
}

async function readResult<T>(host: Host, paths: Paths, name: string): Promise<T | undefined> {
  const bytes = await host.read(`${paths.agent}/${RESULTS_FOLDER}/${name}`);
  return bytes === undefined ? undefined : (JSON.parse(new TextDecoder().decode(bytes)) as T);
}

async function diskStatus(host: Host, path: string): Promise<StatusReport['disk']> {
  const { stdout } = await host.run({
    argv: ['df', '--output=pcent,avail', '--block-size=1', path],
  });
  const [used = '0', free = '0'] = stdout.trim().split('\n').at(-1)?.trim().split(/\s+/) ?? [];
  return { usedPercent: Number.parseInt(used, 10), freeBytes: Number(free) };
}
