import type { PitrSettings } from '../../model/backup-settings.ts';
import { partialOf, wasWritten } from '../../model/wal-files.ts';
import type { WalStatus } from '../../model/wal-status.ts';
import type { BackupContext } from '../context.ts';
import { sha256Hex } from '../manifest.ts';
import { readSmall, type Store } from '../store/store.ts';
import { breakBetween, withGap } from './gaps.ts';
import {
  listReceived,
  type ReceivedFile,
  readReceived,
  removeReceived,
} from './receiver-folder.ts';
import { timelineOf } from './segment.ts';
import { withSince } from './timelines.ts';
import { encodeWal } from './wal-content.ts';
import { notReadBack } from './wal-errors.ts';
import { type WalObject, walObjectName, walPrefix } from './wal-keys.ts';
import { saveWalStatus } from './wal-status.ts';

/** Finished segments wait here at most when the store is away; then the oldest give way to the newest. */
const MOST_WAITING = 1024 ** 3;

export interface Shipping {
  readonly context: BackupContext;
  readonly pitr: PitrSettings;
  readonly store: Store;
  readonly segmentBytes: number;
  /** Of the cluster whose WAL lies in the folder. */
  readonly systemIdentifier: string;
  /** Public keys; undefined stores in the clear. */
  readonly recipientsFile: string | undefined;
}

/**
 * Takes to the store what the receiver has left since the last pass: finished segments in their order, then the
 * beginning of the open one. What is finished and stored is removed here, but for the newest: the receiver goes
 * on after it. Killed at any moment, the next pass stores at most one segment twice.
 * @throws AppError of class `store`
 */
export async function shipPass(shipping: Shipping, before: WalStatus): Promise<WalStatus> {
  const { context, pitr } = shipping;
  const received = await listReceived(pitr.folder);
  const moved = ({ name, mtimeMs }: ReceivedFile): boolean =>
    wasWritten(name, mtimeMs, before.shippedFiles);
  // Before anything of its timeline: without it nobody knows where that came from.
  for (const { name } of received.histories.filter(moved)) {
    await shipHistory(shipping, before, name);
  }
  let status = before;
  const waiting = received.segments.filter(({ name }) => isAfter(name, status.shippedThrough));
  const dropped = await boundSpool(shipping, waiting);
  for (const { name } of waiting.slice(dropped)) {
    status = await shipSegment(shipping, status, name);
    await saveWalStatus(context.host, context.paths, status);
  }
  await removeReceived(
    pitr.folder,
    received.segments.slice(0, -1).map(({ name }) => name),
  );
  for (const { name } of received.partials.filter(moved)) await shipPartial(shipping, name);
  const { failure: _over, ...rest } = status;
  status = {
    ...rest,
    shippedFiles: received.times,
    lastShippedAt: context.now().toISOString(),
    waitingBytes: 0,
  };
  await saveWalStatus(context.host, context.paths, status);
  return status;
}

/** Whether anything moved since all was stored. */
export async function hasMoved(folder: string, status: WalStatus): Promise<boolean> {
  const { segments, partials, histories } = await listReceived(folder);
  return [...segments, ...partials, ...histories].some(({ name, mtimeMs }) =>
    wasWritten(name, mtimeMs, status.shippedFiles),
  );
}

/** Bytes of finished segments that are not in the store, after the oldest gave way. */
export async function waitingBytes(shipping: Shipping, status: WalStatus): Promise<number> {
  const { segments } = await listReceived(shipping.pitr.folder);
  const waiting = segments.filter(({ name }) => isAfter(name, status.shippedThrough));
  const dropped = await boundSpool(shipping, waiting);
  return waiting.slice(dropped).reduce((sum, { size }) => sum + size, 0);
}

/** How many of the oldest gave way. Whoever comes next notices the gap by the names. */
async function boundSpool(
  { pitr, segmentBytes }: Shipping,
  waiting: readonly ReceivedFile[],
): Promise<number> {
  const room = Math.max(4, Math.floor(MOST_WAITING / segmentBytes));
  const dropped = Math.max(0, waiting.length - room);
  await removeReceived(
    pitr.folder,
    waiting.slice(0, dropped).map(({ name }) => name),
  );
  return dropped;
}

/** Names of one cluster sort by timeline, then by position. */
function isAfter(name: string, shippedThrough: string | undefined): boolean {
  return shippedThrough === undefined || name > shippedThrough;
}

async function shipSegment(
  shipping: Shipping,
  status: WalStatus,
  name: string,
): Promise<WalStatus> {
  const { context, pitr, store, segmentBytes } = shipping;
  const content = await readReceived(pitr.folder, name);
  if (content === undefined) return status;
  const stored = await encodeWal(content, shipping.recipientsFile);
  const sha256 = sha256Hex(stored);
  const key = keyOf(shipping, { kind: 'segment', name, sha256 });
  await store.putSmall(key, stored);
  if (context.settings.readBack) {
    const back = await readSmall(store, key);
    if (back === undefined || sha256Hex(back) !== sha256) throw notReadBack(store, key);
  }
  const why =
    status.shippedThrough === undefined
      ? undefined
      : breakBetween(status.shippedThrough, name, segmentBytes);
  const next = why === undefined ? status : withGap(status, why, context.now());
  try {
    await store.delete([keyOf(shipping, { kind: 'partial', name })]);
  } catch (error) {
    // It is the beginning of what is stored whole by now: nobody reads it, and pruning removes it.
    const text = `the beginning of ${name} stays in the store: ${(error as Error).message}`;
    context.report({ kind: 'warning', code: 'backup/leftovers', text });
  }
  return { ...next, shippedThrough: name };
}

async function shipPartial(shipping: Shipping, file: string): Promise<void> {
  const name = partialOf(file);
  const content = await readReceived(shipping.pitr.folder, file);
  // Finished meanwhile: the next pass takes it as a whole.
  if (name === undefined || content === undefined) return;
  // Just begun, or left by a disk that was full: it has its full size before it holds anything.
  if (content.length !== shipping.segmentBytes) return;
  const stored = await encodeWal(content, shipping.recipientsFile);
  await shipping.store.putSmall(keyOf(shipping, { kind: 'partial', name }), stored);
}

async function shipHistory(
  shipping: Shipping,
  { timeline, timelineSince }: WalStatus,
  name: string,
): Promise<void> {
  const key = keyOf(shipping, { kind: 'history', name });
  const content = await readReceived(shipping.pitr.folder, name);
  if (content === undefined) return;
  const isDated = timelineOf(name) === timeline && timelineSince !== undefined;
  // What is there may tell when it began.
  if (!isDated && (await shipping.store.head(key)) !== undefined) return;
  const dated = isDated ? withSince(content, timelineSince) : content;
  await shipping.store.putSmall(key, await encodeWal(dated, shipping.recipientsFile));
}

function keyOf({ context, recipientsFile, systemIdentifier }: Shipping, object: WalObject): string {
  const prefix = walPrefix(context.settings, systemIdentifier);
  return `${prefix}${walObjectName(object, recipientsFile !== undefined)}`;
}
