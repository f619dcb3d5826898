import { readBackupResult } from '../backup/results.ts';
import { BACKUP_TIMEOUT } from '../components/backups/component.ts';
import { longestGap } from '../components/prometheus/cron-gap.ts';
import type { Config } from '../components/sections.ts';
import type { Host } from '../host/host.ts';
import type { Notice } from '../model/contribution.ts';
import { formatBytes } from '../model/format-bytes.ts';
import type { Paths } from '../model/paths.ts';
import { formatDuration } from '../model/units.ts';

/** Seconds. */
const HOUR = 3_600;

/** A `maxRate` at which a base backup of the size of the newest one does not end in time. */
export async function baseRateNotices(host: Host, paths: Paths, config: Config): Promise<Notice[]> {
  const maxRate = config.postgres?.pitr?.maxRate;
  const job = config.backups.jobs.find(({ method }) => method === 'physical');
  if (maxRate === undefined || job === undefined) return [];
  const bytes = (await readBackupResult(host, paths, job.name))?.lastSuccess?.bytes;
  if (bytes === undefined) return [];
  const due = longestGap(job.cron);
  const seconds = Math.ceil(bytes / maxRate / HOUR) * HOUR;
  if (seconds <= Math.min(due, BACKUP_TIMEOUT)) return [];
  const late =
    seconds > BACKUP_TIMEOUT
      ? `the agent ends it after ${formatDuration(BACKUP_TIMEOUT)}`
      : `the next one is due after ${formatDuration(due)}`;
  return [
    {
      code: 'backup/base-rate',
      text: `postgres.pitr.maxRate ${formatBytes(maxRate)} a second: a base backup like the newest (${formatBytes(bytes)}) takes ${formatDuration(seconds)}, and ${late}; the server keeps at most 2 GB of WAL meanwhile. Raise it, or leave it out.`,
    },
  ];
}
