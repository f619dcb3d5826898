import { longestGap } from '../components/prometheus/cron-gap.ts';
import type { AgentSettings } from '../model/agent-settings.ts';
import type { BackupJob, BackupSettings } from '../model/backup-settings.ts';
import { formatSpan } from '../model/format-bytes.ts';

/** Seconds. */
const HOUR = 3_600;
const DAY = 86_400;

/** One sentence for each job whose last good backup is older than its schedule or the promise allows. */
export function ageProblems(
  ages: readonly { readonly job: string; readonly lastSuccessAt?: string }[],
  settings: Pick<BackupSettings, 'jobs' | 'objectives' | 'pitr'>,
  agent: Pick<AgentSettings, 'jobs'>,
  now: Date,
): string[] {
  return settings.jobs.flatMap((job) => {
    const at = ages.find((age) => age.job === job.name)?.lastSuccessAt;
    if (at === undefined) return [];
    const age = Math.floor((now.getTime() - Date.parse(at)) / 1000);
    const gap = gapOf(job, agent);
    const said = `the last good backup of job ${job.name} is ${formatSpan(age)} old`;
    const next = `holdfast backup run ${job.name}`;
    const rpo = promised(job, settings);
    if (rpo !== undefined && age > lateAfter(rpo, gap)) {
      return [`${said}, and objectives.rpo is ${formatSpan(rpo)}: ${next}`];
    }
    return age > 2 * gap ? [`${said}, and one is due every ${formatSpan(gap)}: ${next}`] : [];
  });
}

/** A job that waits for a window of the day may start a day after the last, however often its schedule names. */
function gapOf({ name, cron }: BackupJob, { jobs }: Pick<AgentSettings, 'jobs'>): number {
  const waits = jobs.some(({ id, window }) => id === `backup-${name}` && window !== undefined);
  return Math.max(longestGap(cron), waits ? DAY : 0);
}

/** Undefined where the age of this job's backups does not tell how much data would be lost. */
function promised(
  { source }: BackupJob,
  { objectives, pitr }: Pick<BackupSettings, 'objectives' | 'pitr'>,
): number | undefined {
  // A copy is of what another job holds, and the kit holds no data.
  if (source.kind === 'backup' || source.kind === 'appliance') return undefined;
  // WAL tells, of which the agent and the restore test speak.
  return source.kind === 'postgres' && pitr !== undefined ? undefined : objectives.rpo;
}

/** A schedule that just keeps the promise is not late while the next backup runs. */
function lateAfter(rpo: number, gap: number): number {
  return rpo < gap ? rpo : Math.max(rpo, gap + HOUR);
}
