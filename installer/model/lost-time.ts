import type { BackupSettings } from './backup-settings.ts';

/** An upload, and a server that is busy with the test itself; what may be lost has room for the passes of the shipping. */
const MOST_SLACK_SECONDS = 60;

/**
 * What a restore test may find lost before it is an alarm, seconds: what was promised, else what point-in-time
 * recovery is set to, with some room. Undefined where neither is there.
 */
export function allowedLoss({
  objectives: { rpo },
  pitr,
}: Pick<BackupSettings, 'objectives' | 'pitr'>): number | undefined {
  if (rpo !== undefined || pitr === undefined) return rpo;
  return pitr.rpoSeconds + Math.min(MOST_SLACK_SECONDS, pitr.rpoSeconds);
}
