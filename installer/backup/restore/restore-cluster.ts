import { rm } from 'node:fs/promises';
import { posix } from 'node:path';
import type { BackupJob } from '../../model/backup-settings.ts';
import type { BackupContext } from '../context.ts';
import { exclusively } from '../exclusive.ts';
import { removeHelpers } from '../helper-container.ts';
import { type PostgresServer, runSql } from '../psql.ts';
import { findJob } from '../settings.ts';
import type { Store } from '../store/store.ts';
import { parseLsn } from '../wal/segment.ts';
import { noPitr } from '../wal/wal-errors.ts';
import { type CheckedCluster, checkCluster } from './check-cluster.ts';
import { type BaseWish, basesFor, type RollForward } from './choose-base.ts';
import type { ClusterVolume } from './cluster-volume.ts';
import { neededWal } from './fetch-wal.ts';
import { carryOver, type OtherMajors } from './other-major.ts';
import { stopRecovered } from './recover-cluster.ts';
import { fetchForward, fromBestBase, requireRoom, rollForward } from './roll-forward.ts';
import { beginVolume, forgetUnfinished, removeUnfinished } from './unfinished-volume.ts';
import { lossText, lostTransactions, transactionCount } from './what-is-lost.ts';

const TASK = 'restore-cluster';

export interface ClusterWish extends BaseWish {
  /** Asks whether to go on; a no throws `consent/refused`. */
  readonly consent: (question: string) => Promise<void>;
  /** Makes the stack's Postgres run on this volume from now on; gives the volume that it ran on. */
  readonly swap: (volume: ClusterVolume) => Promise<{ readonly kept: string }>;
  /** For bases of before an upgrade of Postgres; without it such a base is not recovered. */
  readonly majors?: OtherMajors;
}

export interface RestoredCluster {
  readonly base: string;
  /** UTC; undefined when nothing was committed after the base backup. */
  readonly lastCommit?: string;
  readonly cluster: CheckedCluster;
  /** Of the live cluster's transactions those that the restored one has not; undefined where that cannot be counted. */
  readonly lostTransactions?: number;
  /** Engine's name of the volume that was live before. */
  readonly kept: string;
  /** Until the restored cluster was checked. */
  readonly seconds: number;
}

/** What a restore would read, in the order in which it would. */
export interface RestorePlan {
  readonly base: string;
  readonly objects: readonly string[];
  readonly bytes: number;
  /** Name of the first segment that is missing although later ones are there. */
  readonly missing?: string;
  /** UTC, when a restore gave up the timeline of the target. */
  readonly givenUpAt?: string;
}

/** @throws AppError `backup/no-pitr`, `restore/outside-window`, `backup/missing` */
export async function planClusterRestore(
  context: BackupContext,
  wish: BaseWish,
): Promise<RestorePlan> {
  return await withStore(context, async (job, store) => {
    const [best] = await basesFor(context, job, store, wish);
    if (best === undefined) throw new Error('no base, and no reason for it');
    const { backup, chain, givenUpAt } = best;
    const wal = neededWal(best);
    const { objects } = backup.manifest;
    return {
      base: backup.manifest.id,
      objects: [
        ...objects.map(({ name }) => `${backup.folder}${name}`),
        ...wal.map(({ key }) => key),
      ],
      bytes: [...objects, ...wal].reduce((sum, { size }) => sum + size, 0),
      ...(chain.missing === undefined ? {} : { missing: chain.missing }),
      ...(givenUpAt === undefined ? {} : { givenUpAt: givenUpAt.toISOString() }),
    };
  });
}

/**
 * Restores the whole cluster to a point in time: a base backup into a volume beside the live one, rolled forward
 * and checked in a container that nobody reaches, and on a yes the stack runs on it. The volume that was live stays.
 * @throws AppError classes `restore`, `backup`, `store`
 */
export async function restoreCluster(
  context: BackupContext,
  wish: ClusterWish,
): Promise<RestoredCluster> {
  const { host, paths } = context;
  return await exclusively(host, posix.join(paths.agent, 'locks'), 'restore', () =>
    withStore(context, async (job, store) => {
      const candidates = await basesFor(context, job, store, wish);
      const { result } = await fromBestBase(context, candidates, wish.target, (candidate) =>
        restoreFrom(context, store, candidate, wish),
      );
      return result;
    }),
  );
}

async function restoreFrom(
  context: BackupContext,
  store: Store,
  forward: RollForward,
  wish: ClusterWish,
): Promise<RestoredCluster> {
  const { host, engine, paths, settings, report, now } = context;
  const clock = performance.now();
  const walFolder = posix.join(paths.agent, 'restore-wal');
  const progress = (text: string): void => report({ kind: 'progress', id: 'restore', text });
  await removeHelpers(host, engine, settings.project, TASK);
  await removeUnfinished(context);
  await rm(walFolder, { recursive: true, force: true });
  const image = await wish.majors?.imageFor(forward.backup.manifest);
  await requireRoom(context, forward, image === undefined ? 1 : 2);
  const volume = await beginVolume(context);
  let isOurs = true;
  try {
    const request = {
      ...{ task: TASK, volume, walFolder, limits: [], wish, progress },
      ...(image === undefined ? {} : { image }),
    };
    const { missing } = forward.chain;
    if (missing !== undefined) {
      const text = `the WAL has a gap: ${missing} is missing, and what follows cannot be restored`;
      report({ kind: 'warning', code: 'restore/gap', text });
    }
    const fetched = await fetchForward(context, store, forward, request);
    const recovered = await rollForward(context, forward, request, fetched);
    const { server, lastCommit } = recovered;
    const givenUpAt = (await isOfNewest(server, forward)) ? undefined : forward.givenUpAt;
    const isComparable = image === undefined && givenUpAt === undefined;
    const restoredCount = isComparable ? await transactionCount(server) : undefined;
    progress('checking every page and row');
    const cluster = await checkCluster(server);
    await stopRecovered(context, server.container);
    await removeHelpers(host, engine, settings.project, TASK);
    const restored = image === undefined ? volume : await carryOver(context, wish, volume, image);
    const seconds = (performance.now() - clock) / 1000;
    const lost = await lostTransactions(context, restoredCount);
    const reached = { ...recovered, baseEndedAt: forward.backup.manifest.finishedAt };
    await wish.consent(lossText(wish.target, reached, lost, now(), givenUpAt));
    progress('swapping');
    // From here on the stack may run on it, however this ends.
    isOurs = false;
    await forgetUnfinished(context);
    const { kept } = await wish.swap(restored);
    return {
      base: forward.backup.manifest.id,
      ...(lastCommit === undefined ? {} : { lastCommit }),
      cluster,
      ...(typeof lost === 'number' ? { lostTransactions: lost } : {}),
      kept,
      seconds,
    };
  } finally {
    await removeHelpers(host, engine, settings.project, TASK);
    await rm(walFolder, { recursive: true, force: true });
    if (isOurs) await removeUnfinished(context);
  }
}

/** Whether what was recovered is the beginning of the newest timeline, whichever it was recovered on. */
async function isOfNewest(
  server: PostgresServer,
  { isNewest, sharedUntil = 0 }: RollForward,
): Promise<boolean> {
  if (isNewest) return true;
  const [replayed = ''] = await runSql(server, 'postgres', 'SELECT pg_last_wal_replay_lsn();');
  return parseLsn(replayed) <= sharedUntil;
}

/** Hands over the job of the base backups, and the store that holds them and the WAL. */
export async function withStore<T>(
  context: BackupContext,
  work: (job: BackupJob, store: Store) => Promise<T>,
): Promise<T> {
  const { pitr } = context.settings;
  if (pitr === undefined) throw noPitr();
  const store = await context.openStore(pitr.store);
  try {
    return await work(findJob(context.settings, pitr.job), store);
  } finally {
    store.close();
  }
}
