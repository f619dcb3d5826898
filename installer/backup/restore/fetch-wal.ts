import { mkdir, open } from 'node:fs/promises';
import { join } from 'node:path';
import { AppError } from '../../errors.ts';
import { isStoreError } from '../find-backups.ts';
import { sha256Hex } from '../manifest.ts';
import { readSmall, type Store } from '../store/store.ts';
import { parseLsn, parseSegment, segmentAt, timelineOf } from '../wal/segment.ts';
import type { StoredWal } from '../wal/stored-wal.ts';
import { walTo } from '../wal/wal-chain.ts';
import { decodeWal } from '../wal/wal-content.ts';
import { walDamaged } from '../wal/wal-errors.ts';
import type { RollForward } from './choose-base.ts';

/** Objects that are asked for together, since a store far away takes its time for each; they are decoded one by one. */
const AT_A_TIME = 4;

/** Looks at the store for what came meanwhile, at most. */
const LOOKS = 8;

export interface FetchedWal {
  readonly files: number;
  /** The first object that is not what was stored; it and those after it were left out. */
  readonly damage?: AppError;
  /** When the newest object was asked for: what reached the store later is not in it. */
  readonly newestReadAt: Date;
}

export interface FetchOptions {
  readonly folder: string;
  readonly identityFile: string;
  /** uid of the server */
  readonly owner: number;
  readonly onFile: (done: number, total: number) => void;
  /** The listing anew, for a server that goes on writing. */
  readonly list: () => Promise<Way['wal']>;
}

type Way = Pick<RollForward, 'base' | 'wal' | 'timeline' | 'timelines'>;

/**
 * Postgres gives a new timeline the first number above the one it recovers that has no history: one that is known
 * would be given out twice where its history is not, or no longer, in the store. That it is there is all it looks at.
 */
const KNOWN_OF = '# holdfast: there is such a timeline, and its history is not known\n';

/**
 * Every object that the recovery may read, in the order of the WAL: on the way to its timeline, and all histories. Of
 * several of one segment the first that is listed.
 */
export function neededWal({ base, wal: all, timeline }: Way): StoredWal[] {
  const { segmentBytes } = base;
  const wal = walTo(all, timeline, segmentBytes);
  const first = segmentAt(parseLsn(base.startLsn), segmentBytes);
  const indexOf = ({ name }: StoredWal): number => parseSegment(name, segmentBytes).index;
  const whole = new Set(wal.flatMap(({ kind, name }) => (kind === 'segment' ? [name] : [])));
  const histories = wal.filter(({ kind }) => kind === 'history');
  const seen = new Set<string>();
  const positions = wal
    .filter((one) => one.kind !== 'history' && indexOf(one) >= first)
    .filter(({ kind, name }) => kind === 'segment' || !whole.has(name))
    .sort((a, b) => indexOf(a) - indexOf(b) || (a.name < b.name ? -1 : 1))
    .filter(({ name }) => !seen.has(name) && seen.add(name));
  return [...histories, ...positions];
}

/**
 * Lays the WAL down as Postgres reads it, each object proved: its checksum, its encryption, its size. What is
 * damaged ends it there, since the recovery can go no further. A server that is alive goes on meanwhile: where the
 * beginning of a segment gave way to the whole of it, the store is listed again.
 * @throws AppError of class `store`, `restore/wrong-identity`
 */
export async function fetchWal(
  store: Store,
  forward: Way,
  options: FetchOptions,
): Promise<FetchedWal> {
  await mkdir(options.folder, { recursive: true, mode: 0o700 });
  const laid = new Set<string>();
  let wal = forward.wal;
  for (let looks = 1; ; looks += 1) {
    const fetched = await fetchListed(store, { ...forward, wal }, options, laid);
    if (!fetched.isOutrun || looks === LOOKS) {
      await layKnownOf(forward, options, laid);
      return fetched;
    }
    wal = await options.list();
  }
}

async function fetchListed(
  store: Store,
  forward: Way,
  options: FetchOptions,
  laid: Set<string>,
): Promise<FetchedWal & { readonly isOutrun: boolean }> {
  const { folder, owner } = options;
  const all = neededWal(forward);
  const lost = lostHistory(store, all, forward);
  if (lost !== undefined) {
    return { files: laid.size, newestReadAt: new Date(), damage: lost, isOutrun: false };
  }
  const needed = all.filter((object) => !laid.has(labelOf(object)));
  let newestReadAt = new Date();
  for (let from = 0; from < needed.length; from += AT_A_TIME) {
    const some = needed.slice(from, from + AT_A_TIME);
    newestReadAt = new Date();
    const asked = some.map((object) => ({ object, stored: readSmall(store, object.key) }));
    await Promise.allSettled(asked.map(({ stored }) => stored));
    for (const { object, stored } of asked) {
      const state = { files: laid.size, newestReadAt };
      let plain: Buffer | undefined;
      try {
        plain = await plainWal(store, forward, object, stored, options.identityFile);
      } catch (error) {
        if (!(error instanceof AppError)) throw error;
        if (!isNeeded(object, forward) && !isStoreError(error)) continue;
        if (error.code === 'backup/damaged') return { ...state, damage: error, isOutrun: false };
        throw error;
      }
      if (plain === undefined) return { ...state, isOutrun: true };
      await lay(join(folder, object.name), plain, owner);
      laid.add(labelOf(object));
    }
    options.onFile(laid.size, all.length);
  }
  return { files: laid.size, newestReadAt, isOutrun: false };
}

async function layKnownOf(
  { base, timeline, timelines }: Way,
  { folder, owner }: FetchOptions,
  laid: ReadonlySet<string>,
): Promise<void> {
  for (const number of timelines) {
    const name = `${number.toString(16).toUpperCase().padStart(8, '0')}.history`;
    if (number <= base.timeline || number === timeline.number) continue;
    if (laid.has(labelOf({ kind: 'history', name }))) continue;
    await lay(join(folder, name), Buffer.from(KNOWN_OF), owner);
  }
}

/** Without it nothing leads from the base to its timeline. */
function lostHistory(
  store: Store,
  all: readonly StoredWal[],
  { base, timeline }: Way,
): AppError | undefined {
  if (base.timeline === timeline.number) return undefined;
  const own = all.some((one) => one.kind === 'history' && timelineOf(one.name) === timeline.number);
  if (own) return undefined;
  return walDamaged(store, `the history of timeline ${timeline.number}`, 'it is gone');
}

/** The history of the timeline that is recovered is read, where the base is not of it; of others Postgres asks whether there is one. */
function isNeeded(object: StoredWal, { base, timeline }: Way): boolean {
  if (object.kind !== 'history') return true;
  return timelineOf(object.name) === timeline.number && base.timeline !== timeline.number;
}

/** The whole of a segment takes the place of its beginning. */
function labelOf({ kind, name }: Pick<StoredWal, 'kind' | 'name'>): string {
  return `${kind} ${name}`;
}

async function lay(path: string, content: Uint8Array, owner: number): Promise<void> {
  const file = await open(path, 'w', 0o600);
  try {
    await file.chown(owner, owner);
    await file.writeFile(content);
  } finally {
    await file.close();
  }
}

/**
 * Another object of the same segment is as good where the first one is damaged. Undefined when it was the beginning
 * of one that is finished by now.
 */
async function plainWal(
  store: Store,
  { base, wal }: Way,
  object: StoredWal,
  stored: Promise<Buffer | undefined>,
  identityFile: string,
): Promise<Buffer | undefined> {
  const same = wal.filter(({ kind, name }) => kind === object.kind && name === object.name);
  let failure: unknown;
  for (const candidate of [object, ...same.filter((one) => one !== object)]) {
    try {
      const bytes = await (candidate === object ? stored : readSmall(store, candidate.key));
      return await proved(store, candidate, bytes, base.segmentBytes, identityFile);
    } catch (error) {
      if (!(error instanceof AppError) || error.code !== 'backup/damaged') throw error;
      failure = error;
    }
  }
  throw failure;
}

async function proved(
  store: Store,
  object: StoredWal,
  stored: Buffer | undefined,
  segmentBytes: number,
  identityFile: string,
): Promise<Buffer | undefined> {
  if (stored === undefined) {
    if (object.kind === 'partial') return undefined;
    throw walDamaged(store, object.key, 'it is gone');
  }
  if (object.kind === 'segment' && sha256Hex(stored) !== object.sha256) {
    throw walDamaged(store, object.key, 'its checksum is not the one in its name');
  }
  let plain: Buffer;
  try {
    plain = await decodeWal(stored, object.encrypted ? identityFile : undefined);
  } catch (error) {
    if (error instanceof AppError && error.code !== 'backup/damaged') throw error;
    throw walDamaged(store, object.key, (error as Error).message, error);
  }
  if (object.kind !== 'history' && plain.length !== segmentBytes) {
    throw walDamaged(store, object.key, `it holds ${plain.length} bytes, not ${segmentBytes}`);
  }
  return plain;
}
