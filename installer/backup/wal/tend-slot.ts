import type { WalStatus } from '../../model/wal-status.ts';
import type { BackupContext } from '../context.ts';
import type { PostgresServer } from '../psql.ts';
import { withGap } from './gaps.ts';
import { listReceived, removeReceived } from './receiver-folder.ts';
import { timelineOf } from './segment.ts';
import { isUsable, makeSlot, type WalSource, walSource } from './slot.ts';
import { noPitr } from './wal-errors.ts';

/**
 * Looks whether the receiver can go on where it stopped. A slot that is lost or not there, another cluster and
 * another timeline begin a new chain: what the receiver has left of the old one was stored before and would only
 * mislead it, the slot is made anew, and a base backup is asked for.
 * @param status of the last pass; undefined before the first
 * @throws AppError `backup/postgres-down`, `backup/sql`
 */
export async function tendSlot(
  { settings: { pitr }, now }: BackupContext,
  server: PostgresServer,
  status: WalStatus | undefined,
): Promise<WalStatus> {
  if (pitr === undefined) throw noPitr();
  const source = await walSource(server, pitr.slot);
  const why = whyBroken(source, status);
  if (status !== undefined && why === undefined) {
    return { ...status, checkedAt: now().toISOString() };
  }
  const isSame = status === undefined || status.systemIdentifier === source.systemIdentifier;
  const mayStay = isUsable(source.slot) && isSame;
  const { segments, partials, histories } = await listReceived(pitr.folder);
  const left = [...segments, ...partials, ...histories].map(({ name }) => name);
  // With a usable slot the receiver may be at work already, on files of the new timeline.
  await removeReceived(
    pitr.folder,
    left.filter((name) => !mayStay || timelineOf(name) < source.timeline),
  );
  await makeSlot(server, pitr.slot);
  const { gaps = [] } =
    status === undefined || why === undefined ? {} : withGap(status, why, now());
  return {
    version: 1,
    systemIdentifier: source.systemIdentifier,
    timeline: source.timeline,
    ...sinceOf(source, status),
    segmentBytes: source.segmentBytes,
    checkedAt: now().toISOString(),
    waitingBytes: 0,
    baseNeededSince: now().toISOString(),
    gaps,
  };
}

/** After a restore the server starts on its new timeline; what it stood on before is given up from then on. */
function sinceOf(
  { timeline, startedAt }: WalSource,
  status: WalStatus | undefined,
): Pick<WalStatus, 'timelineSince'> {
  if (status === undefined) return {};
  if (status.timeline !== timeline) return { timelineSince: startedAt };
  return status.timelineSince === undefined ? {} : { timelineSince: status.timelineSince };
}

/** Why the chain cannot go on; undefined where it can, or where there was none. */
function whyBroken(source: WalSource, status: WalStatus | undefined): string | undefined {
  if (status === undefined) return undefined;
  if (status.systemIdentifier !== source.systemIdentifier) return 'another cluster runs here';
  if (status.timeline !== source.timeline) {
    return `the cluster was restored or promoted: it runs on timeline ${source.timeline}`;
  }
  if (source.slot === undefined) return 'the replication slot was gone';
  if (isUsable(source.slot)) return undefined;
  return 'the receiver was away for so long that the server gave up WAL which it had not taken';
}
