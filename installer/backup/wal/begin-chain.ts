import { setTimeout as wait } from 'node:timers/promises';
import { AppError } from '../../errors.ts';
import type { BackupContext } from '../context.ts';
import { exclusively } from '../exclusive.ts';
import { livePostgres } from '../sources/open-source.ts';
import { jobLocks } from '../wait-for-backups.ts';
import { tendSlot } from './tend-slot.ts';
import { readWalStatus, saveWalStatus } from './wal-status.ts';

/** Held by whoever moves the receiver's files. */
export const WAL_LOCK = 'wal';

const POLL_MILLISECONDS = 500;
/** The shipping looks at the slot once a minute, and a pass of it may take a while. */
const PATIENCE_SECONDS = 180;

/**
 * Sees to it that the slot was looked at after this moment, as a restore needs it: here, or by the shipping where
 * that runs.
 * @throws AppError `lock/held` when the shipping does not come to it
 */
export async function beginChain(context: BackupContext): Promise<void> {
  const { host, paths, now } = context;
  const begun = now();
  const deadline = performance.now() + PATIENCE_SECONDS * 1_000;
  for (;;) {
    try {
      await exclusively(host, jobLocks(paths), WAL_LOCK, async () => {
        const server = await livePostgres(context, 'holdfast-wal');
        const status = await tendSlot(context, server, await readWalStatus(host, paths));
        await saveWalStatus(host, paths, status);
      });
      return;
    } catch (error) {
      const isHeld = error instanceof AppError && error.code === 'lock/held';
      if (!isHeld || performance.now() > deadline) throw error;
    }
    const status = await readWalStatus(host, paths);
    if (status !== undefined && Date.parse(status.checkedAt) > begun.getTime()) return;
    await wait(POLL_MILLISECONDS);
  }
}
