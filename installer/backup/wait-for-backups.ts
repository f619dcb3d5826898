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
  await waitForLocks(host, paths, jobs.map(backupLock), waitSeconds);
}

/**
 * Resolves when no job of this machine runs: no backup, test of a restore, drill or shipping of WAL.
 * @throws AppError `lock/held` when one still runs after so many seconds
 */
export async function waitForJobs(host: Host, paths: Paths, waitSeconds: number): Promise<void> {
  if ((await host.stat(jobLocks(paths))) === undefined) return;
  const files = (await host.list(jobLocks(paths))).filter((name) => name.endsWith('.lock'));
  const locks = files.map((name) => name.slice(0, -'.lock'.length)).sort();
  await waitForLocks(host, paths, locks, waitSeconds);
}

async function waitForLocks(
  host: Host,
  paths: Paths,
  locks: readonly string[],
  waitSeconds: number,
): Promise<void> {
  const deadline = Date.now() + waitSeconds * 1000;
  for (const lock of locks) {
    const left = Math.max(0, Math.ceil((deadline - Date.now()) / 1000));
    await exclusively(host, jobLocks(paths), lock, async () => undefined, left);
  }
}
