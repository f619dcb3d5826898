import { AppError } from '../../errors.ts';
import type { BackupJob, BackupSource } from '../../model/backup-settings.ts';
import type { BackupContext } from '../context.ts';
import { listStored } from '../inventory.ts';
import { backupPrefix } from '../keys.ts';
import type { OpenBackup } from '../read-object.ts';
import { readManifest } from '../verify.ts';

export interface Wish {
  /** The newest verified one when absent. */
  readonly id?: string;
  /** Of this job alone. */
  readonly job?: string;
  /** Without an id and a job: what was saved. */
  readonly kind: BackupSource['kind'];
  readonly identityFile: string;
  /** False: a damaged newest backup is a failure, not a reason to take the one before it. */
  readonly fallBack?: boolean;
}

interface Candidate {
  readonly job: BackupJob;
  readonly id: string;
}

/**
 * Finds a backup and hands it to `use`; the store is closed afterwards. Without an id the newest verified one
 * is taken; when that turns out to be damaged, the one before it, with a warning.
 * @throws AppError `backup/missing`
 */
export async function withBackup<T>(
  context: BackupContext,
  wish: Wish,
  use: (backup: OpenBackup) => Promise<T>,
): Promise<T> {
  const candidates = await find(context, wish);
  for (const [index, { job, id }] of candidates.entries()) {
    try {
      return await useOne(context, job, id, wish.identityFile, use);
    } catch (error) {
      const isLast = index === candidates.length - 1;
      if (isLast || wish.fallBack === false || !isDamage(error)) throw error;
      context.report({
        kind: 'warning',
        code: 'restore/fell-back',
        text: `${id} is damaged, so the one before it is used: ${(error as Error).message}`,
      });
    }
  }
  throw missing(wish);
}

async function useOne<T>(
  context: BackupContext,
  job: BackupJob,
  id: string,
  identityFile: string,
  use: (backup: OpenBackup) => Promise<T>,
): Promise<T> {
  const store = await context.openStore(job.store);
  try {
    const folder = backupPrefix(context.settings, job.name, id);
    const { manifest } = await readManifest(store, folder, id);
    return await use({ store, folder, manifest, identityFile });
  } finally {
    store.close();
  }
}

/** Newest first; one when an id is wished. */
async function find(context: BackupContext, wish: Wish): Promise<Candidate[]> {
  const jobs = context.settings.jobs.filter(
    ({ name, source }) =>
      wish.job === name ||
      (wish.job === undefined && (wish.id !== undefined || source.kind === wish.kind)),
  );
  const found: Candidate[] = [];
  for (const job of jobs) {
    const store = await context.openStore(job.store);
    try {
      for (const { id, complete, verified } of await listStored(
        store,
        context.settings,
        job.name,
      )) {
        if (wish.id === undefined ? verified : complete && id === wish.id) found.push({ job, id });
      }
    } finally {
      store.close();
    }
  }
  if (found.length === 0) throw missing(wish);
  return found.sort((a, b) => (a.id < b.id ? 1 : -1));
}

function isDamage(error: unknown): boolean {
  return (
    error instanceof AppError &&
    ['backup/damaged', 'backup/bad-manifest', 'backup/missing'].includes(error.code)
  );
}

function missing({ id, job, kind }: Wish): AppError {
  return new AppError({
    code: 'backup/missing',
    what:
      id === undefined
        ? `there is no verified backup of ${job ?? kind}`
        : `there is no backup ${id}`,
    hint: id === undefined ? 'holdfast backup run' : 'holdfast backup list',
  });
}
