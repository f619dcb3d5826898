import { AppError } from '../../errors.ts';
import type { BackupJob } from '../../model/backup-settings.ts';
import type { BackupContext } from '../context.ts';
import { openCopiesFirst } from '../copies-first.ts';
import { copiesOnServer, findBackups } from '../find-backups.ts';
import { backupPrefix, MANIFEST_NAME } from '../keys.ts';
import type { BackupManifest } from '../manifest.ts';
import type { OpenBackup } from '../read-object.ts';
import type { Store } from '../store/store.ts';
import { currentWal, type Rewritten } from '../wal/current-wal.ts';
import { lsnText, parseLsn, segmentAt } from '../wal/segment.ts';
import { listStoredWal, type StoredWal } from '../wal/stored-wal.ts';
import { leadsTo, readTimelines, type Timeline, timelineAt } from '../wal/timelines.ts';
import { type WalChain, walChain } from '../wal/wal-chain.ts';
import { writerIdentity } from '../writer-id.ts';
import { type Absence, absencesOf, isHeardLater, type Life } from './live-cluster.ts';
import { ofOneServer } from './one-server.ts';
import { type RecoveryTarget, targetText } from './point-in-time.ts';

/** Between this machine and the store, and between a base and its manifest in the store. */
const CLOCKS_DIFFER = 15 * 60_000;

/** A base backup and the WAL that rolls it forward. */
export interface RollForward {
  readonly backup: OpenBackup;
  readonly base: NonNullable<BackupManifest['base']>;
  /** As `currentWal` leaves it. */
  readonly wal: readonly StoredWal[];
  /** That the target lies on: for a moment the one that the server lived on then, also if a restore gave it up since. */
  readonly timeline: Timeline;
  readonly isNewest: boolean;
  /** Numbers of all that are known. */
  readonly timelines: readonly number[];
  /** Position up to which the newest timeline holds the same; undefined when it never came by here. */
  readonly sharedUntil?: number;
  /** When the next one began. */
  readonly givenUpAt?: Date;
  readonly absences: readonly Absence[];
  readonly chain: WalChain;
  /** It holds what was written before the machine went back to an earlier state, and the WAL of now does not fit it. */
  readonly isGivenUp: boolean;
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
  const { target } = wish;
  const clusters = await clustersOf(context, store, bases, wish);
  const newest = newestOf(clusters);
  const reaching = clusters
    .filter((cluster) => target.kind !== 'latest' || cluster === newest)
    .flatMap((cluster) => waysTo(cluster, timelineOf(target, cluster)))
    .filter((one) => reaches(one, target, context.now()));
  if (reaching.length === 0) {
    const all = clusters.flatMap((cluster) =>
      cluster.timelines.flatMap((timeline) => waysTo(cluster, timeline)),
    );
    throw outside(target, all, context.now());
  }
  reaching.sort((a, b) => bases.indexOf(a.backup) - bases.indexOf(b.backup));
  const isLast = (one: RollForward): boolean => one.isGivenUp && hasBetter(one, reaching);
  return [...reaching.filter((one) => !isLast(one)), ...reaching.filter(isLast)];
}

/** A position or a name may be on several: it means the newest. */
function timelineOf(target: RecoveryTarget, { timelines }: Cluster): Timeline {
  if (target.kind === 'time') return timelineAt(timelines, target.time);
  return timelines.at(-1) ?? timelines[0];
}

type ClusterBase = Pick<RollForward, 'backup' | 'base' | 'absences'>;

/** The base backups of one cluster, its WAL, and its timelines, oldest first. */
interface Cluster extends Life {
  readonly bases: readonly ClusterBase[];
  readonly wal: readonly StoredWal[];
  readonly timelines: readonly [Timeline, ...Timeline[]];
  readonly rewritten: readonly Rewritten[];
}

async function clustersOf(
  context: BackupContext,
  store: Store,
  bases: readonly OpenBackup[],
  { identityFile }: BaseWish,
): Promise<Cluster[]> {
  const systems = new Map<string, ClusterBase[]>();
  for (const backup of bases) {
    const { base, server } = backup.manifest;
    if (base === undefined || server === undefined) continue;
    const one = { backup, base, absences: [] };
    const known = systems.get(server.systemIdentifier);
    if (known === undefined) systems.set(server.systemIdentifier, [one]);
    else known.push(one);
  }
  const isTimed = systems.size > 1 && (await tellsWhen(store, bases[0]));
  const clusters: Cluster[] = [];
  for (const [systemIdentifier, ofSystem] of systems) {
    const stored = await listStoredWal(store, context.settings, systemIdentifier);
    const timelines = await readTimelines(
      store,
      stored,
      ofSystem.map(({ backup: { manifest }, base }) => ({
        base,
        startedAt: new Date(manifest.startedAt),
      })),
      identityFile,
    );
    const segmentBytes = ofSystem[0]?.base.segmentBytes ?? 0;
    const begun = ofSystem.map(({ backup }) => new Date(backup.manifest.startedAt));
    const wal = currentWal(stored, segmentBytes);
    const cluster = { systemIdentifier, begun, bases: ofSystem, timelines, ...wal };
    clusters.push({ ...cluster, heard: isTimed ? heardOf(cluster) : [] });
  }
  return clusters.map((cluster) => {
    const others = clusters.filter((other) => other !== cluster);
    const withAbsences = cluster.bases.map((one) => ({
      ...one,
      absences: absencesOf(new Date(one.backup.manifest.startedAt), cluster, others),
    }));
    return { ...cluster, bases: withAbsences };
  });
}

/** The one that is live; where the times of the store tell nothing, that of the newest base, which comes first. */
function newestOf(clusters: readonly Cluster[]): Cluster | undefined {
  return clusters.reduce<Cluster | undefined>(
    (best, one) => (best === undefined || isHeardLater(one, best) ? one : best),
    undefined,
  );
}

/**
 * Whether the store has had a base since it was made, so that its times are those at which WAL came: in a copy of a bucket
 * they are of the copying.
 */
async function tellsWhen(store: Store, base: OpenBackup | undefined): Promise<boolean> {
  if (base === undefined) return false;
  const stored = await store.head(`${base.folder}${MANIFEST_NAME}`);
  const made = Date.parse(base.manifest.finishedAt);
  return stored !== undefined && Math.abs(stored.storedAt.getTime() - made) <= CLOCKS_DIFFER;
}

/** Of WAL the way to the end of now alone: behind a hole nothing is to be had. */
function heardOf(cluster: Omit<Cluster, 'heard'>): Date[] {
  const bases = cluster.bases.flatMap(({ backup: { manifest } }) => [
    new Date(manifest.startedAt),
    new Date(manifest.finishedAt),
  ]);
  const timeline = cluster.timelines.at(-1) ?? cluster.timelines[0];
  const wal = waysTo(cluster, timeline).flatMap(({ chain: { segments, partial } }) => [
    ...segments.map(([{ storedAt }]) => storedAt),
    ...(partial === undefined ? [] : [partial.storedAt]),
  ]);
  return [...bases, ...wal];
}

/** From every base that leads to a timeline. */
function waysTo(
  { bases, wal, timelines, rewritten }: Omit<Cluster, 'heard'>,
  timeline: Timeline,
): RollForward[] {
  const next = timelines[timelines.indexOf(timeline) + 1];
  const shared = timelines.at(-1)?.ancestors?.find(({ number }) => number === timeline.number);
  return bases
    .filter(({ base }) => leadsTo(base, timeline))
    .map(({ backup, base, absences }) => ({
      ...{ backup, base, wal, timeline, isNewest: next === undefined, absences },
      timelines: timelines.map(({ number }) => number),
      ...(shared === undefined ? {} : { sharedUntil: shared.until }),
      ...(next?.since === undefined ? {} : { givenUpAt: next.since }),
      chain: walChain(wal, base, timeline),
      isGivenUp: rewritten.some((one) => isBefore(backup, base, one)),
    }));
}

/** Whether another base of the same cluster leads to the end of the WAL of now. */
function hasBetter({ backup: { manifest } }: RollForward, all: readonly RollForward[]): boolean {
  return all.some(
    ({ isGivenUp, chain, backup }) =>
      !isGivenUp &&
      chain.missing === undefined &&
      backup.manifest.server?.systemIdentifier === manifest.server?.systemIdentifier,
  );
}

/** Whether a base backup was made before a position was written again that it goes past, or whose WAL is its own. */
function isBefore(
  { manifest }: OpenBackup,
  { timeline, startLsn, stopLsn, segmentBytes }: RollForward['base'],
  again: Rewritten,
): boolean {
  if (again.timeline !== timeline) return false;
  const [first, last] = [startLsn, stopLsn].map((lsn) => segmentAt(parseLsn(lsn), segmentBytes));
  if (again.index < (first ?? 0)) return again.at > new Date(manifest.finishedAt);
  return again.index <= (last ?? 0) && again.givenUpAt > new Date(manifest.startedAt);
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
function reaches(one: RollForward, target: RecoveryTarget, now: Date): boolean {
  switch (target.kind) {
    case 'latest':
    case 'name':
      return true;
    case 'time': {
      return spansOf(one, now).some(({ from, to }) => target.time >= from && target.time <= to);
    }
    case 'lsn':
      return target.lsn >= parseLsn(one.base.stopLsn) && target.lsn <= one.chain.endLsn;
  }
}

interface Span {
  readonly from: Date;
  readonly to: Date;
}

/** What is written after a gap of the WAL is not reached from a base before it. */
function spansOf(
  { backup: { manifest }, timeline, givenUpAt, absences, chain }: RollForward,
  now: Date,
): Span[] {
  const from = Math.max(Date.parse(manifest.finishedAt), timeline.since?.getTime() ?? 0);
  const end = (givenUpAt ?? now).getTime();
  const to =
    chain.missing === undefined
      ? end
      : Math.min(end, Math.max(from, chain.storedUntil?.getTime() ?? 0));
  return absences.reduce<Span[]>(
    (spans, absence) => spans.flatMap((span) => without(span, absence)),
    [{ from: new Date(from), to: new Date(to) }],
  );
}

function without({ from, to }: Span, absence: Absence): Span[] {
  const before = { from, to: to < absence.from ? to : absence.from };
  const { until } = absence;
  return until === undefined ? [before] : [before, { from: from > until ? from : until, to }];
}

/** Oldest first, those that touch put together. */
function windowOf(all: readonly RollForward[], now: Date): string {
  const spans: { from: Date; to: Date }[] = [];
  const oldestFirst = all
    .flatMap((one) => spansOf(one, now))
    .filter(({ from, to }) => from <= to)
    .sort((a, b) => a.from.getTime() - b.from.getTime());
  for (const { from, to } of oldestFirst) {
    const last = spans.at(-1);
    if (last === undefined || from > last.to) spans.push({ from, to });
    else if (to > last.to) last.to = to;
  }
  if (spans.length === 0) return 'nothing by the clock of this machine';
  return spans.map(({ from, to }) => `${from.toISOString()} to ${to.toISOString()}`).join(', ');
}

function outside(target: RecoveryTarget, all: readonly RollForward[], now: Date): AppError {
  const window = target.kind === 'lsn' ? positionsOf(all) : windowOf(all, now);
  return new AppError({
    code: 'restore/outside-window',
    what: `${targetText(target)} cannot be reached`,
    why: `what can be reached is ${window}`,
    hint: 'choose a moment within, or a logical backup: `holdfast backup list`',
    details: { window },
  });
}

/** On the newest timeline, which positions are of; that of the cluster with the newest base. */
function positionsOf(all: readonly RollForward[]): string {
  const systemOf = ({ backup }: RollForward) => backup.manifest.server?.systemIdentifier;
  const idOf = ({ backup }: RollForward) => backup.manifest.id;
  const [last] = [...all].sort((a, b) => (idOf(a) < idOf(b) ? 1 : -1));
  const newest = all.filter(
    (one) => one.isNewest && last !== undefined && systemOf(one) === systemOf(last),
  );
  const from = Math.min(...newest.map(({ base }) => parseLsn(base.stopLsn)));
  const to = Math.max(...newest.map(({ chain }) => chain.endLsn));
  return newest.length === 0 ? 'nothing' : `${lsnText(from)} to ${lsnText(Math.max(from, to))}`;
}

function noBase({ name }: BackupJob): AppError {
  return new AppError({
    code: 'backup/missing',
    what: `there is no verified base backup of ${name}`,
    hint: `holdfast backup run ${name}`,
  });
}
