import { AppError } from '../../errors.ts';
import type { BackupJob } from '../../model/backup-settings.ts';
import type { BackupContext } from '../context.ts';
import { openCopiesFirst } from '../copies-first.ts';
import { copiesOnServer, findBackups } from '../find-backups.ts';
import { backupPrefix } from '../keys.ts';
import type { BackupManifest } from '../manifest.ts';
import type { OpenBackup } from '../read-object.ts';
import type { Store } from '../store/store.ts';
import { parseLsn } from '../wal/segment.ts';
import { listStoredWal, type StoredWal } from '../wal/stored-wal.ts';
import { type WalChain, walChain } from '../wal/wal-chain.ts';
import { writerIdentity } from '../writer-id.ts';
import { ofOneServer } from './one-server.ts';
import { type RecoveryTarget, targetText } from './point-in-time.ts';

/** A base backup and the WAL that rolls it forward. */
export interface RollForward {
  readonly backup: OpenBackup;
  readonly base: NonNullable<BackupManifest['base']>;
  readonly wal: readonly StoredWal[];
  readonly chain: WalChain;
}

export interface BaseWish {
  readonly target: RecoveryTarget;
  readonly identityFile: string;
  /** Of the server of this name, or whose id begins so. */
  readonly from?: string;
  /** Proves what lies in the store: copies on this server are left alone, its own backups go before those of others. */
  readonly proveStore?: boolean;
}

/**
 * The base backups from which the target can be reached, the best one first.
 * @throws AppError `restore/outside-window` with the window, `backup/missing`, `restore/several-servers`
 */
export async function basesFor(
  context: BackupContext,
  job: BackupJob,
  store: Store,
  wish: BaseWish,
): Promise<RollForward[]> {
  const bases = await allBases(context, job, store, wish);
  if (bases.length === 0) throw noBase(job);
  const systems = new Map<string, StoredWal[]>();
  const all: RollForward[] = [];
  for (const backup of bases) {
    const { base, server } = backup.manifest;
    if (base === undefined || server === undefined) continue;
    const { systemIdentifier } = server;
    const wal =
      systems.get(systemIdentifier) ??
      (await listStoredWal(store, context.settings, systemIdentifier));
    systems.set(systemIdentifier, wal);
    all.push({ backup, base, wal, chain: walChain(wal, base) });
  }
  const reaching = all.filter((one) => reaches(one, wish.target, context.now()));
  if (reaching.length === 0) throw outside(wish.target, all, context.now());
  return reaching;
}

/** Newest first. What was never read back is no promise, unless the config does without. */
async function allBases(
  context: BackupContext,
  job: BackupJob,
  store: Store,
  { identityFile, from, proveStore = false }: BaseWish,
): Promise<OpenBackup[]> {
  const { backups, storeError } = await findBackups(context, job, store);
  // The WAL is in the store alone.
  if (storeError !== undefined) throw storeError;
  const found: (OpenBackup & { readonly id: string; readonly writer: BackupManifest['writer'] })[] =
    [];
  for (const { id, verified, complete, inStore, onServer } of backups) {
    if (!verified && (context.settings.readBack || !complete)) continue;
    if (proveStore && !inStore) continue;
    const folder = backupPrefix(context.settings, job.name, id);
    const copies = onServer && !proveStore ? copiesOnServer(context) : undefined;
    try {
      const opened = await openCopiesFirst({ store, copies, report: context.report }, folder, id);
      found.push({ ...opened, folder, identityFile, id, writer: opened.manifest.writer });
    } catch (error) {
      if (!(error instanceof AppError) || !error.code.startsWith('backup/')) throw error;
      context.report({ kind: 'warning', code: error.code, text: error.message });
    }
  }
  if (proveStore) {
    const own = await writerIdentity(context.host, context.paths);
    if (found.some(({ writer }) => writer.id === own.id)) return ofOneServer(found, own.id);
  }
  return ofOneServer(found, from);
}

/** A base backup is consistent from its end on, not before. */
function reaches({ backup, base, chain }: RollForward, target: RecoveryTarget, now: Date): boolean {
  switch (target.kind) {
    case 'latest':
    case 'name':
      return true;
    case 'time': {
      const { from, to } = spanOf({ backup, chain }, now);
      return target.time >= from && target.time <= to;
    }
    case 'lsn':
      return target.lsn >= parseLsn(base.stopLsn) && target.lsn <= chain.endLsn;
  }
}

/** What is written after a gap of the WAL is not reached from a base before it. */
function spanOf(
  { backup: { manifest }, chain }: Pick<RollForward, 'backup' | 'chain'>,
  now: Date,
): { readonly from: Date; readonly to: Date } {
  const from = new Date(manifest.finishedAt);
  if (chain.missing === undefined) return { from, to: now };
  return { from, to: new Date(Math.max(from.getTime(), chain.storedUntil?.getTime() ?? 0)) };
}

/** Oldest first, those that touch put together. */
function windowOf(all: readonly RollForward[], now: Date): string {
  const spans: { from: Date; to: Date }[] = [];
  for (const { from, to } of all.map((one) => spanOf(one, now)).toReversed()) {
    const last = spans.at(-1);
    if (last === undefined || from > last.to) spans.push({ from, to });
    else if (to > last.to) last.to = to;
  }
  return spans.map(({ from, to }) => `${from.toISOString()} to ${to.toISOString()}`).join(', ');
}

function outside(target: RecoveryTarget, all: readonly RollForward[], now: Date): AppError {
  const oldest = all.at(-1);
  const newest = all[0];
  const window =
    target.kind === 'lsn'
      ? `${oldest?.base.stopLsn} to ${newest === undefined ? '' : lastLsn(newest)}`
      : windowOf(all, now);
  return new AppError({
    code: 'restore/outside-window',
    what: `${targetText(target)} cannot be reached`,
    why: `what can be reached is ${window}`,
    hint: 'choose a moment within, or a logical backup: `holdfast backup list`',
    details: { window },
  });
}

function lastLsn({ chain, base }: RollForward): string {
  const high = Math.floor(chain.endLsn / 2 ** 32).toString(16);
  return chain.segments.length === 0
    ? base.stopLsn
    : `${high}/${(chain.endLsn % 2 ** 32).toString(16)}`.toUpperCase();
}

function noBase({ name }: BackupJob): AppError {
  return new AppError({
    code: 'backup/missing',
    what: `there is no verified base backup of ${name}`,
    hint: `holdfast backup run ${name}`,
  });
}
