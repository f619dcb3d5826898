import { AppError } from '../../errors.ts';
import type { BackupContext } from '../context.ts';
import { requireFreeSpace } from '../free-space.ts';
import { removeHelpers } from '../helper-container.ts';
import type { Store } from '../store/store.ts';
import { currentWal } from '../wal/current-wal.ts';
import { listStoredWal } from '../wal/stored-wal.ts';
import { noPitr } from '../wal/wal-errors.ts';
import type { BaseWish, RollForward } from './choose-base.ts';
import { type ClusterVolume, fillClusterVolume } from './cluster-volume.ts';
import { type FetchedWal, fetchWal, neededWal } from './fetch-wal.ts';
import { type RecoveryTarget, targetText } from './point-in-time.ts';
import { type Recovered, type RecoverRequest, recoverCluster } from './recover-cluster.ts';

/** uid of `postgres` in the official images and in ours. */
const OWNER = 999;

export interface ForwardRequest {
  /** Names what it is for on its containers. */
  readonly task: string;
  readonly progress: (text: string) => void;
  readonly volume: ClusterVolume;
  /** Folder of this machine for the WAL. */
  readonly walFolder: string;
  /** Of the server that reads the base; the stack's when absent. */
  readonly image?: string;
  /** Options of `docker run` that hold the work down. */
  readonly limits: readonly string[];
  readonly wish: Pick<BaseWish, 'target' | 'identityFile'>;
}

/**
 * Tries the bases in their order: an older one goes around one that is damaged, and a restore point may lie before
 * the newest one. Tells which were damaged.
 */
export async function fromBestBase<T>(
  { report }: BackupContext,
  candidates: readonly RollForward[],
  target: RecoveryTarget,
  attempt: (candidate: RollForward) => Promise<T>,
): Promise<{ readonly result: T; readonly damaged: readonly string[] }> {
  const damaged: string[] = [];
  for (const [index, candidate] of candidates.entries()) {
    const { id } = candidate.backup.manifest;
    try {
      return { result: await attempt(candidate), damaged };
    } catch (error) {
      if (index === candidates.length - 1 || !mayHelp(error, target)) throw error;
      if (isBaseDamaged(error)) damaged.push(id);
      report({
        kind: 'warning',
        code: 'restore/fell-back',
        text: `${id} does not lead to ${targetText(target)}, so the base before it is tried: ${(error as Error).message}`,
      });
    }
  }
  throw new Error('no base, and no reason for it');
}

function mayHelp(error: unknown, target: RecoveryTarget): boolean {
  const isShort = error instanceof AppError && error.code === 'restore/target-not-reached';
  return isShort ? target.kind === 'name' : isBaseDamaged(error);
}

function isBaseDamaged(error: unknown): boolean {
  return error instanceof AppError && error.code === 'restore/base-damaged';
}

/** @param copies of the cluster that there will be @throws AppError `preflight/disk-full` */
export async function requireRoom(
  { engine, paths }: BackupContext,
  forward: RollForward,
  copies = 1,
): Promise<void> {
  const { dataRoot } = await engine.info();
  const cluster = forward.base.clusterBytes * 1.1 * copies;
  await requireFreeSpace(dataRoot, cluster, 'a cluster beside the live one');
  const wal = neededWal(forward).length * forward.base.segmentBytes;
  await requireFreeSpace(paths.agent, wal, 'the WAL of this restore');
}

/** Brings the WAL here. @throws AppError `backup/damaged` where the target is its very end, and that is not whole */
export async function fetchForward(
  context: BackupContext,
  store: Store,
  forward: RollForward,
  { walFolder, wish, progress }: ForwardRequest,
): Promise<FetchedWal> {
  const { systemIdentifier = '' } = forward.backup.manifest.server ?? {};
  const fetched = await fetchWal(store, forward, {
    folder: walFolder,
    identityFile: wish.identityFile,
    owner: OWNER,
    onFile: (done, total) => progress(`WAL ${done} of ${total}`),
    list: async () => {
      const stored = await listStoredWal(store, context.settings, systemIdentifier);
      return currentWal(stored, forward.base.segmentBytes).wal;
    },
  });
  if (fetched.damage !== undefined && wish.target.kind === 'latest') throw fetched.damage;
  await context.host.run({ argv: ['chown', `${OWNER}:${OWNER}`, walFolder] });
  return fetched;
}

/**
 * A base backup in the volume, rolled forward to the target in a container that nobody reaches. The server runs on
 * for the checks.
 * @throws AppError `restore/base-damaged`, `restore/recovery`, `restore/target-not-reached`
 */
export async function rollForward(
  context: BackupContext,
  forward: RollForward,
  { task, volume, walFolder, limits, wish, progress, ...request }: ForwardRequest,
  { damage }: FetchedWal,
): Promise<Recovered> {
  const { postgres } = context.settings;
  if (postgres === undefined) throw noPitr();
  const { superuser } = postgres;
  const { image = postgres.image } = request;
  progress(`laying down the base ${forward.backup.manifest.id}`);
  const laying = { task, image, owner: OWNER, limits };
  await orBaseDamaged(forward, fillClusterVolume(context, forward.backup, volume, laying));
  progress(`rolling forward to ${targetText(wish.target)}`);
  const common = { task, image, superuser, volume, walFolder, limits, target: wish.target };
  const recovery = { ...common, timeline: targetTimeline(forward) };
  return await recover(context, recovery, damage);
}

/** The base's own needs no history file, which a store may have lost; the newest may not be known of here. */
function targetTimeline({ timeline, isNewest, base }: RollForward): string {
  if (isNewest) return 'latest';
  return timeline.number === base.timeline ? 'current' : String(timeline.number);
}

/** A time that lies after the last commit is reached with all the WAL there is. */
async function recover(
  context: BackupContext,
  request: RecoverRequest,
  damage: AppError | undefined,
): Promise<Recovered> {
  try {
    return await recoverCluster(context, request);
  } catch (error) {
    const isShort = error instanceof AppError && error.code === 'restore/target-not-reached';
    if (!isShort || request.target.kind !== 'time') throw error;
    if (damage !== undefined) throw damage;
    const { host, engine, settings, report } = context;
    report({
      kind: 'warning',
      code: 'restore/end-of-wal',
      text: `${error.why ?? error.message}: that is what there is at ${targetText(request.target)}`,
    });
    await removeHelpers(host, engine, settings.project, request.task);
    const recovered = await recoverCluster(context, { ...request, target: { kind: 'latest' } });
    return { ...recovered, isShort: true };
  }
}

/** A damaged base is another matter than damaged WAL: an older one may do. */
async function orBaseDamaged({ backup }: RollForward, work: Promise<void>): Promise<void> {
  try {
    await work;
  } catch (error) {
    if (!(error instanceof AppError) || error.code !== 'backup/damaged') throw error;
    throw new AppError({
      code: 'restore/base-damaged',
      what: `the base backup ${backup.manifest.id} is damaged`,
      why: error.message,
      hint: 'holdfast backup run; until then restore an older one: `holdfast backup list`',
      cause: error,
    });
  }
}
