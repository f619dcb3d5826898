import { AppError } from '../errors.ts';
import type { BackupResult } from '../model/backup-result.ts';
import type { BackupJob } from '../model/backup-settings.ts';
import { applyRetention } from './apply-retention.ts';
import { lockEnd } from './backup-run.ts';
import type { BackupContext } from './context.ts';
import { copyBackup } from './copy-backup.ts';
import { isDamage } from './damage.ts';
import { asVerified, known, listStored, type StoredBackup } from './inventory.ts';
import { decideRetention } from './retention.ts';
import { findJob, isFrozen, readsBackFrom } from './settings.ts';
import type { Store } from './store/store.ts';
import { noteStored } from './stored-by-us.ts';
import { sweep } from './sweep.ts';
import { writerIdentity } from './writer-id.ts';

type BackupOutcome = NonNullable<BackupResult['lastSuccess']>;
type CopySource = Extract<BackupJob['source'], { kind: 'backup' }>;

/**
 * Copies what another job has stored and verified to a second store, under the same names, so that either place serves
 * a restore. Only what the copy's own retention would keep. One that is damaged where it is copied from is told
 * and passed over; the others are copied all the same.
 * @throws AppError `backup/nothing-to-copy`, `backup/damaged`, class `store`
 */
export async function runCopies(
  context: BackupContext,
  job: BackupJob,
  source: CopySource,
  startedAt: Date,
): Promise<BackupOutcome> {
  const { host, paths, settings, report } = context;
  const clock = performance.now();
  const from = findJob(settings, source.name);
  const stores: Store[] = [];
  try {
    const origin = await context.openStore(from.store);
    stores.push(origin);
    const target = await context.openStore(job.store);
    stores.push(target);
    const writer = await writerIdentity(host, paths);
    const place = { place: settings, job: from.name, now: startedAt };
    const { stored } = await sweep({ store: target, writerId: writer.id, ...place });
    const there = await listStored(origin, settings, from.name);
    const wanted = missingCopies(context, job, there, stored);
    let bytes = 0;
    let damage: unknown;
    const readsBack = readsBackFrom(settings, job.store);
    const lockedUntil = lockEnd(job, startedAt);
    for (const { id, isThere } of wanted) {
      const input = { origin, target, job: from.name, id, writer, readsBack, isThere, lockedUntil };
      try {
        bytes += await copyBackup(context, input);
        await noteStored(context, job, id);
      } catch (error) {
        if (!isDamage(error)) throw error;
        damage ??= error;
        report({
          kind: 'warning',
          code: 'backup/not-copied',
          text: `${id}: ${(error as Error).message}`,
        });
      }
    }
    if (damage !== undefined) throw damage;
    await applyRetention(context, job, target);
    const newest =
      there.find(({ verified }) => verified) ?? stored.find(({ complete }) => complete);
    if (newest === undefined) throw nothingToCopy(from);
    const finishedAt = context.now().toISOString();
    return {
      id: newest.id,
      finishedAt,
      ...(readsBack ? { verifiedAt: finishedAt } : {}),
      bytes,
      seconds: (performance.now() - clock) / 1000,
    };
  } finally {
    for (const store of stores) store.close();
  }
}

/** Verified ones of the origin that are not whole in the target and would stay there; the newest first. */
function missingCopies(
  { settings, now }: BackupContext,
  job: BackupJob,
  there: readonly StoredBackup[],
  stored: readonly StoredBackup[],
): { readonly id: string; readonly isThere: boolean }[] {
  const readsBack = readsBackFrom(settings, job.store);
  const whole = stored.filter(({ complete, verified }) => (readsBack ? verified : complete));
  const done = new Set(whole.map(({ id }) => id));
  const unproved = new Set(stored.filter(({ complete }) => complete).map(({ id }) => id));
  const candidates = there.filter(({ id, verified }) => verified && !done.has(id));
  const { keep } = decideRetention({
    // As the copy's retention counts them, or what it has removed would be copied again.
    backups: [
      ...(isFrozen(settings, job.store) ? asVerified(known(whole)) : known(whole)),
      ...known(candidates),
    ],
    rules: job.keepRemote,
    timezone: settings.timezone,
    now: now(),
  });
  const kept = new Set(keep);
  return candidates
    .filter(({ id }) => kept.has(id))
    .map(({ id }) => ({ id, isThere: unproved.has(id) }));
}

function nothingToCopy({ name }: BackupJob): AppError {
  return new AppError({
    code: 'backup/nothing-to-copy',
    what: `${name} has no verified backup that could be copied`,
    hint: `holdfast backup run ${name}`,
  });
}
