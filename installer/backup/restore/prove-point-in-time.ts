import { rm } from 'node:fs/promises';
import { posix } from 'node:path';
import { setTimeout as wait } from 'node:timers/promises';
import type { PointInTimeProof } from '../../model/backup-result.ts';
import { formatSpan } from '../../model/format-bytes.ts';
import { LABELS } from '../../model/labels.ts';
import { allowedLoss } from '../../model/lost-time.ts';
import { engineName } from '../../model/stack.ts';
import type { BackupContext } from '../context.ts';
import { removeHelpers } from '../helper-container.ts';
import { restoreTestIdentityFile } from '../recovery-keys.ts';
import type { Store } from '../store/store.ts';
import { checkAssertions } from './assertions.ts';
import { checkCluster } from './check-cluster.ts';
import { basesFor, type RollForward } from './choose-base.ts';
import type { ClusterVolume } from './cluster-volume.ts';
import { diskRate } from './disk-rate.ts';
import type { FetchedWal } from './fetch-wal.ts';
import { type Heartbeats, newestHeartbeat, whileBeating } from './heartbeat.ts';
import { withStore } from './restore-cluster.ts';
import {
  type ForwardRequest,
  fetchForward,
  fromBestBase,
  requireRoom,
  rollForward,
} from './roll-forward.ts';
import { requireNoHole } from './wal-hole.ts';

const TASK = 'restore-test-cluster';
const VOLUME = 'restore-test-cluster';
/** One processor, and of the others' time an eighth of what a container gets when all want some. */
const CPU = ['--cpus', '1', '--cpu-shares', '128'];
/**
 * Heartbeats go ahead of the reading for longer than may be lost, so that some of them have to be there, and where
 * none is, what is lost is more than the alarm allows; seconds.
 */
const LONGEST_LEAD = 600;

/**
 * Restores the newest base backup and all the WAL after it into a throw-away cluster without a network, held down
 * in processor and disk, and checks it. The live server only writes a heartbeat a second meanwhile.
 * @throws AppError classes `restore`, `backup`, `store`
 */
export async function provePointInTime(context: BackupContext): Promise<PointInTimeProof> {
  const rate = await diskRate(context);
  const wish = {
    target: { kind: 'latest' as const },
    identityFile: restoreTestIdentityFile(context.paths),
    proveStore: true,
  };
  const request = {
    task: TASK,
    walFolder: posix.join(context.paths.agent, 'restore-test-wal'),
    limits: [...CPU, ...rate.argv],
    wish,
    progress: (text: string) => context.report({ kind: 'progress', id: 'restore-test', text }),
  };
  return await withStore(context, async (job, store) => {
    const { result, damaged } = await whileBeating(context, async (beats) => {
      if (beats !== undefined) await lead(context);
      const candidates = await basesFor(context, job, store, wish);
      return await fromBestBase(context, candidates, wish.target, (candidate) =>
        prove(context, store, candidate, request, beats),
      );
    });
    return { ...result, damagedBases: damaged, limits: `1 processor, ${rate.text}` };
  });
}

async function lead({ settings, report, signal }: BackupContext): Promise<void> {
  const seconds = Math.min(LONGEST_LEAD, (allowedLoss(settings) ?? 0) + 1);
  const text = `writing heartbeats for ${formatSpan(seconds)}`;
  report({ kind: 'progress', id: 'restore-test', text });
  await wait(seconds * 1_000, undefined, signal === undefined ? {} : { signal });
}

async function prove(
  context: BackupContext,
  store: Store,
  forward: RollForward,
  request: Omit<ForwardRequest, 'volume'>,
  beats: Heartbeats | undefined,
): Promise<Omit<PointInTimeProof, 'damagedBases' | 'limits'>> {
  requireNoHole(forward);
  await clear(context, request);
  await requireRoom(context, forward);
  try {
    const clock = performance.now();
    const whole = { ...request, volume: await makeVolume(context) };
    const fetched = await fetchForward(context, store, forward, whole);
    const { server, lastCommit } = await rollForward(context, forward, whole, fetched);
    request.progress('checking every page and row');
    const { databases } = await checkCluster(server);
    await checkAssertions(
      server,
      databases.map(({ name }) => name),
      context.settings.assertions,
    );
    const seconds = (performance.now() - clock) / 1_000;
    const newest = await newestHeartbeat(server);
    return {
      base: forward.backup.manifest.id,
      finishedAt: context.now().toISOString(),
      seconds,
      ...(lastCommit === undefined ? {} : { lastCommit }),
      ...lostAt(fetched, beats, newest),
      databases: databases.length,
      tables: databases.reduce((sum, { tables }) => sum + tables, 0),
      rows: databases.reduce((sum, { rows }) => sum + rows, 0),
    };
  } finally {
    await clear(context, request);
  }
}

/** @param newest heartbeat that came back, which may be of an earlier test */
export function lostAt(
  { newestReadAt }: Pick<FetchedWal, 'newestReadAt'>,
  beats: Heartbeats | undefined,
  newest: Date | undefined,
): Pick<PointInTimeProof, 'lostSeconds' | 'lostMore'> {
  if (beats === undefined || !beats.haveGoneOn()) return {};
  const { firstAt } = beats;
  const since = (time: Date): number =>
    Math.max(0, (newestReadAt.getTime() - time.getTime()) / 1_000);
  if (newest === undefined || newest < firstAt)
    return { lostSeconds: since(firstAt), lostMore: true };
  return { lostSeconds: since(newest) };
}

async function makeVolume({ host, settings }: BackupContext): Promise<ClusterVolume> {
  const volume = { name: VOLUME, engineName: engineName(settings.project, VOLUME) };
  const label = `${LABELS.project}=${settings.project}`;
  await host.run({ argv: ['docker', 'volume', 'create', '--label', label, volume.engineName] });
  return volume;
}

/** Also what a killed run left. */
async function clear(
  { host, engine, settings }: BackupContext,
  { walFolder }: Pick<ForwardRequest, 'walFolder'>,
): Promise<void> {
  await removeHelpers(host, engine, settings.project, TASK);
  const volume = engineName(settings.project, VOLUME);
  await host.run({ argv: ['docker', 'volume', 'rm', '--force', volume] });
  await rm(walFolder, { recursive: true, force: true });
}
