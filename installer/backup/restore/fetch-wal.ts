import { mkdir, open } from 'node:fs/promises';
import { join } from 'node:path';
import { AppError } from '../../errors.ts';
import { sha256Hex } from '../manifest.ts';
import { readSmall, type Store } from '../store/store.ts';
import { parseLsn, parseSegment, segmentAt } from '../wal/segment.ts';
import type { StoredWal } from '../wal/stored-wal.ts';
import { decodeWal } from '../wal/wal-content.ts';
import { walDamaged } from '../wal/wal-errors.ts';
import type { RollForward } from './choose-base.ts';

const AT_A_TIME = 4;

export interface FetchedWal {
  readonly files: number;
  /** The first object that is not what was stored; it and those after it were left out. */
  readonly damage?: AppError;
}

/** Every object that the recovery may read, in the order of the WAL: on whichever timeline, and their histories. */
export function neededWal({ base, wal }: Pick<RollForward, 'base' | 'wal'>): StoredWal[] {
  const { segmentBytes } = base;
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
 * damaged ends it there, since the recovery can go no further.
 * @param owner uid of the server
 * @throws AppError of class `store`, `restore/wrong-identity`
 */
export async function fetchWal(
  store: Store,
  forward: Pick<RollForward, 'base' | 'wal'>,
  options: {
    readonly folder: string;
    readonly identityFile: string;
    readonly owner: number;
    readonly onFile: (done: number, total: number) => void;
  },
): Promise<FetchedWal> {
  const { folder, owner } = options;
  await mkdir(folder, { recursive: true, mode: 0o700 });
  const needed = neededWal(forward);
  let files = 0;
  for (let from = 0; from < needed.length; from += AT_A_TIME) {
    const some = needed.slice(from, from + AT_A_TIME);
    const results = await Promise.all(
      some.map(async (object) => {
        try {
          return await plainWal(store, forward, object, options.identityFile);
        } catch (error) {
          if (error instanceof AppError && error.code === 'backup/damaged') return error;
          throw error;
        }
      }),
    );
    for (const [index, result] of results.entries()) {
      if (result instanceof AppError) return { files, damage: result };
      await lay(join(folder, some[index]?.name ?? ''), result, owner);
      files += 1;
    }
    options.onFile(files, needed.length);
  }
  return { files };
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

/** Another object of the same segment is as good where the first one is damaged. */
async function plainWal(
  store: Store,
  { base, wal }: Pick<RollForward, 'base' | 'wal'>,
  object: StoredWal,
  identityFile: string,
): Promise<Buffer> {
  const same = wal.filter(({ kind, name }) => kind === object.kind && name === object.name);
  let failure: unknown;
  for (const candidate of same) {
    try {
      return await proved(store, candidate, base.segmentBytes, identityFile);
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
  segmentBytes: number,
  identityFile: string,
): Promise<Buffer> {
  const stored = await readSmall(store, object.key);
  if (stored === undefined) throw walDamaged(store, object.key, 'it is gone');
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
