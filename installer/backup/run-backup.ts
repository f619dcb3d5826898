import { AppError } from '../errors.ts';
import type { BackupResult } from '../model/backup-result.ts';
import type { BackupJob } from '../model/backup-settings.ts';
import { applyRetention } from './apply-retention.ts';
import { BackupRun } from './backup-run.ts';
import { jobsLeftCalm, wakeUp } from './calm.ts';
import type { BackupContext } from './context.ts';
import { runCopies } from './copy-job.ts';
import { exclusively } from './exclusive.ts';
import { requireFreeSpace } from './free-space.ts';
import { removeHelpers } from './helper-container.ts';
import type { StoredBackup } from './inventory.ts';
import { lastRun, recordBackup } from './results.ts';
import { findJob, findStore, isFrozen, readsBackFrom } from './settings.ts';
import { openSource } from './sources/open-source.ts';
import type { Source } from './sources/source.ts';
import { storeRoom } from './store-room.ts';
import { noteStored } from './stored-by-us.ts';
import { type Swept, sweep } from './sweep.ts';
import { backupLock, jobLocks } from './wait-for-backups.ts';
import { writerIdentity } from './writer-id.ts';

export type BackupOutcome = NonNullable<BackupResult['lastSuccess']>;

/** An update that looks whether a backup runs holds its lock for a moment. */
const LOOK_SECONDS = 2;

/**
 * Makes one backup of a job: sweeps what a killed run left, dumps, writes the manifest last, reads everything
 * back, then applies retention. Whatever fails leaves nothing in the store that could pass for a backup.
 * @throws AppError `lock/held` when the job runs already; classes `backup`, `store`, `preflight`
 */
export async function runBackup(context: BackupContext, jobName: string): Promise<BackupOutcome> {
  const { host, paths, settings, now } = context;
  const job = findJob(settings, jobName);
  return await exclusively(
    host,
    jobLocks(paths),
    backupLock(job.name),
    async () => {
      const startedAt = now();
      let found: readonly StoredBackup[] | undefined;
      const room = (made: number) => storeRoom(settings, job, found, made);
      try {
        const outcome = await attempt(context, job, startedAt, (stored) => {
          found = stored;
        });
        const run = lastRun(startedAt, now());
        await recordBackup(host, paths, job.name, run, outcome, await room(outcome.bytes));
        return outcome;
      } catch (error) {
        const run = lastRun(startedAt, now(), error);
        await recordBackup(host, paths, job.name, run, undefined, await room(0));
        throw error;
      }
    },
    LOOK_SECONDS,
  );
}

async function attempt(
  context: BackupContext,
  job: BackupJob,
  startedAt: Date,
  onFound: (stored: readonly StoredBackup[]) => void,
): Promise<BackupOutcome> {
  const { host, engine, paths, settings, report } = context;
  const { source: wanted } = job;
  if (wanted.kind === 'backup') return await runCopies(context, job, wanted, startedAt);
  const clock = performance.now();
  const writer = await writerIdentity(host, paths);
  await wakeAll(context, job.name);
  await removeHelpers(host, engine, settings.project, `backup-${job.name}`);
  const store = await context.openStore(job.store);
  try {
    // Both at once, since each waits for somebody else; the source only looks, so that a store that refuses us is
    // known before the database is burdened.
    const opening = openSource(context, job);
    opening.catch(() => undefined);
    let swept: Swept;
    try {
      swept = await sweep({
        store,
        place: settings,
        job: job.name,
        writerId: writer.id,
        now: startedAt,
      });
    } catch (error) {
      await opening.then(
        (source) => source.close(),
        () => undefined,
      );
      throw error;
    }
    const { stored, removed, kept, abortedUploads } = swept;
    onFound(stored);
    if (removed.length + abortedUploads > 0) {
      report({ kind: 'notice', text: `removed what ${removed.length || 'a'} killed run left` });
    }
    if (kept.length > 0) {
      const text = `what killed runs left stays, since the key may not delete: ${kept.join(', ')}`;
      report({ kind: 'warning', code: 'backup/leftovers', text });
    }
    const source = await opening;
    try {
      await checkSpace(context, job, source, stored);
      const run = new BackupRun({ context, job, store, source, writer, startedAt });
      const made = await run.make();
      await noteStored(context, job, run.id);
      const storedSeconds = (performance.now() - clock) / 1000;
      const verifiedAt = readsBack(context, job) ? await run.verify() : undefined;
      await applyRetention(context, job, store);
      return {
        id: run.id,
        finishedAt: context.now().toISOString(),
        ...(verifiedAt === undefined ? {} : { verifiedAt }),
        bytes: made.objects.reduce((sum, { size }) => sum + size, 0),
        storedSeconds,
        seconds: (performance.now() - clock) / 1000,
      };
    } finally {
      await source.close();
    }
  } finally {
    store.close();
  }
}

/** Whatever a killed run of this job holds still yet, or of another one that does not run now. */
async function wakeAll(context: BackupContext, own: string): Promise<void> {
  const { host, paths } = context;
  await wakeUp(context, own);
  for (const name of await jobsLeftCalm(context)) {
    if (name === own) continue;
    try {
      await exclusively(host, jobLocks(paths), backupLock(name), () => wakeUp(context, name));
    } catch (error) {
      if (!(error instanceof AppError)) throw error;
      if (error.code === 'lock/held') continue;
      context.report({ kind: 'warning', code: error.code, text: error.message });
    }
  }
}

function readsBack({ settings, report }: BackupContext, job: BackupJob): boolean {
  const { name, store } = job;
  if (settings.readBack && isFrozen(settings, store)) {
    report({
      kind: 'warning',
      code: 'backup/not-read-back',
      text: `${name}: what lies frozen in ${store} cannot be read back, so it does not count as verified`,
    });
  }
  return readsBackFrom(settings, store);
}

async function checkSpace(
  { paths, settings }: BackupContext,
  job: BackupJob,
  source: Source,
  stored: readonly StoredBackup[],
): Promise<void> {
  const store = findStore(settings, job.store);
  const expected = source.objects.reduce((sum, { expectedBytes }) => sum + expectedBytes, 0);
  const previous = stored.find(({ complete }) => complete)?.size;
  // Dumps come to a fifth of their database as a rule; the last one knows better.
  const estimate = previous === undefined ? expected / 3 : previous * 1.3;
  if (store.kind === 'directory') await requireFreeSpace(store.path, estimate, 'this backup');
  if (job.keepLocalSeconds !== undefined) {
    await requireFreeSpace(paths.backups, estimate, 'the local copy of this backup');
  }
}
