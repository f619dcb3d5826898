import { posix } from 'node:path';
import type { Host } from '../host/host.ts';
import type { Paths } from '../model/paths.ts';
import { exclusively } from './exclusive.ts';

/** Where the locks of the agent's jobs stand. */
export function jobLocks(paths: Paths): string {
  return posix.join(paths.agent, 'locks');
}

/** Name of the lock that a run of this backup job holds. */
export function backupLock(job: string): string {
  return `backup-${job}`;
}

/**
 * Resolves when none of these backup jobs runs on this machine.
 * @throws AppError `lock/held` when one still runs after so many seconds
 */
export async function waitForBackups(
  host: Host,
  paths: Paths,
  jobs: readonly string[],
  waitSeconds: number,
): Promise<void> {
  const deadline = Date.now() + waitSeconds * 1000;
  for (const job of jobs) {
    const left = Math.max(0, Math.ceil((deadline - Date.now()) / 1000));
    await exclusively(host, jobLocks(paths), backupLock(job), async () => undefined, left);
  }
}
