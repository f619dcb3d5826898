import { setTimeout as wait } from 'node:timers/promises';
import { AppError } from '../../errors.ts';
import type { BackupContext } from '../context.ts';
import { type ShipOptions, shipWal } from './ship-wal.ts';
import { stillWaiting } from './wal-errors.ts';
import { readWalStatus } from './wal-status.ts';

const POLL_MILLISECONDS = 500;
/** The shipping looks at the slot once a minute, and a pass of it may take a while. */
const PATIENCE_SECONDS = 180;
/** One pass, and one look. */
const ONCE: ShipOptions = {
  lingerSeconds: 0,
  longestSeconds: 0,
  passSeconds: 1,
  checkSeconds: 60,
};

/**
 * Sees to it that the slot was looked at after this moment, as a restore needs it: here, or by the shipping where
 * that runs. What waits of the old chain goes to the store first, since the look clears it away.
 * @throws AppError `lock/held` when the shipping does not come to it; `backup/wal-waits` while the store is away
 */
export async function beginChain(context: BackupContext): Promise<void> {
  const { host, paths, now } = context;
  const begun = now();
  const deadline = performance.now() + PATIENCE_SECONDS * 1_000;
  for (;;) {
    try {
      const { failure } = await shipWal(context, ONCE);
      if (failure !== undefined) throw stillWaiting(failure);
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
