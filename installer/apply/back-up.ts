import { AppError } from '../errors.ts';
import { explained } from './explained.ts';
import type { Run } from './run.ts';

/** Before anything else is changed. */
export async function backUp(run: Run): Promise<void> {
  try {
    const made = (await run.backUp?.()) ?? [];
    if (made.length > 0) return;
    run.report({
      kind: 'warning',
      code: 'backup/not-first',
      text: 'no backup was made first: the config in force has no logical one of postgres in backups.jobs',
    });
  } catch (error) {
    if (!(error instanceof AppError)) throw error;
    throw explained(
      error,
      'nothing was changed; what postgres.snapshotBefore does not name goes on without a backup',
    );
  }
}
