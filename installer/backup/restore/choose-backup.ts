import { AppError } from '../../errors.ts';
import type { BackupSource } from '../../model/backup-settings.ts';
import type { BackupContext } from '../context.ts';
import { openCopiesFirst } from '../copies-first.ts';
import { copiesOnServer, type FoundBackup, findBackups } from '../find-backups.ts';
import { listStored } from '../inventory.ts';
import { backupPrefix } from '../keys.ts';
import type { OpenBackup } from '../read-object.ts';
import type { Store } from '../store/store.ts';
import { writerIdentity } from '../writer-id.ts';
import { ofOneServer, type Writer } from './one-server.ts';

export interface Wish {
  /** The newest verified one when absent. */
  readonly id?: string;
  /** Of this job alone. */
  readonly job?: string;
  /** Without an id and a job: what was saved. */
  readonly kind: BackupSource['kind'];
  /** Without an id: of the server of this name, or whose id begins so. */
  readonly from?: string;
  readonly identityFile: string;
  /**
   * Proves what lies in the store: copies on this server are left alone, its own backups go before those of others,
   * and a damaged newest one is a failure instead of a reason to take the one before it.
   */
  readonly proveStore?: boolean;
}

/** Manifests that are read at a time to tell who wrote them. */
const AT_A_TIME = 8;

/**
 * Finds a backup and hands it to `use`; the store is closed afterwards. Without an id the newest verified one
 * is taken; when that turns out to be damaged, the one before it, with a warning.
 * @throws AppError `backup/missing`, `restore/several-servers`, `restore/unknown-server`
 */
export async function withBackup<T>(
  context: BackupContext,
  wish: Wish,
  use: (backup: OpenBackup) => Promise<T>,
): Promise<T> {
  const stores = new OpenStores(context);
  try {
    const candidates = await find(context, stores, wish);
    for (const [index, candidate] of candidates.entries()) {
      try {
        return await use(await openOne(context, stores, candidate, wish));
      } catch (error) {
        const isLast = index === candidates.length - 1;
        if (isLast || wish.proveStore === true || !isDamage(error)) throw error;
        context.report({
          kind: 'warning',
          code: 'restore/fell-back',
          text: `${candidate.id} is damaged, so the one before it is used: ${(error as Error).message}`,
        });
      }
    }
    throw missing(wish);
  } finally {
    stores.close();
  }
}

async function openOne(
  context: BackupContext,
  stores: OpenStores,
  { job, id, onServer }: FoundBackup,
  { identityFile, proveStore }: Wish,
): Promise<OpenBackup> {
  const folder = backupPrefix(context.settings, job.name, id);
  const copies = onServer && proveStore !== true ? copiesOnServer(context) : undefined;
  const { report } = context;
  const places = { store: await stores.open(job.store), copies, report };
  return { ...(await openCopiesFirst(places, folder, id)), folder, identityFile };
}

/** Newest first; one when an id is wished. */
async function find(
  context: BackupContext,
  stores: OpenStores,
  wish: Wish,
): Promise<FoundBackup[]> {
  const { id } = wish;
  const found: FoundBackup[] = [];
  for (const job of context.settings.jobs) {
    const isMeant =
      wish.job === job.name ||
      (wish.job === undefined &&
        (id !== undefined || (job.source.kind === wish.kind && job.method !== 'physical')));
    if (!isMeant) continue;
    const copy = id === undefined ? undefined : await copyOf(context, job, id);
    if (copy !== undefined) return [copy];
    const { backups, storeError } = await findBackups(context, job, await stores.open(job.store));
    if (storeError !== undefined) {
      const useful = wish.proveStore !== true && backups.some(({ verified }) => verified);
      if (!useful || id !== undefined) throw storeError;
      context.report({
        kind: 'warning',
        code: storeError.code,
        text: `only the copies on this server are looked at: ${storeError.message}`,
      });
    }
    found.push(
      ...backups.filter((one) => {
        if (wish.proveStore === true && !one.inStore) return false;
        return id === undefined ? one.verified : one.complete && one.id === id;
      }),
    );
  }
  if (found.length === 0) throw missing(wish);
  found.sort((a, b) => (a.id < b.id ? 1 : -1));
  return id === undefined ? await ofWishedServer(context, stores, found, wish) : found;
}

/** A copy on this server needs no store, which may be what is down. */
async function copyOf(
  context: BackupContext,
  job: FoundBackup['job'],
  id: string,
): Promise<FoundBackup | undefined> {
  const copies = await listStored(copiesOnServer(context), context.settings, job.name);
  const copy = copies.find((one) => one.id === id && one.complete);
  if (copy === undefined) return undefined;
  const { complete, verified, size } = copy;
  return { id, job, complete, verified, size, inStore: true, onServer: true };
}

async function ofWishedServer(
  context: BackupContext,
  stores: OpenStores,
  found: readonly FoundBackup[],
  wish: Wish,
): Promise<FoundBackup[]> {
  const written = await attributed(context, stores, found, wish);
  if (wish.proveStore === true) {
    const own = await writerIdentity(context.host, context.paths);
    const ours = written.filter(({ writer }) => writer === undefined || writer.id === own.id);
    if (ours.some(({ writer }) => writer !== undefined)) return ours.map(({ found }) => found);
    return written.map(({ found }) => found);
  }
  return ofOneServer(written, wish.from).map(({ found }) => found);
}

interface Attributed {
  readonly id: string;
  readonly writer: Writer | undefined;
  readonly found: FoundBackup;
}

async function attributed(
  context: BackupContext,
  stores: OpenStores,
  found: readonly FoundBackup[],
  wish: Wish,
): Promise<Attributed[]> {
  const writerOf = async (one: FoundBackup): Promise<Writer | undefined> => {
    try {
      const quiet = { ...context, report: () => undefined };
      return (await openOne(quiet, stores, one, wish)).manifest.writer;
    } catch (error) {
      // Whoever reaches it finds it damaged then, and goes on to the one before it.
      if (isDamage(error)) return undefined;
      throw error;
    }
  };
  const written: Attributed[] = [];
  for (let from = 0; from < found.length; from += AT_A_TIME) {
    const some = found.slice(from, from + AT_A_TIME);
    const writers = await Promise.all(some.map(writerOf));
    written.push(...some.map((one, n) => ({ id: one.id, writer: writers[n], found: one })));
  }
  return written;
}

/** Each store is opened once and closed at the end. */
class OpenStores {
  readonly #context: BackupContext;
  readonly #open = new Map<string, Promise<Store>>();

  constructor(context: BackupContext) {
    this.#context = context;
  }

  async open(name: string): Promise<Store> {
    const store = this.#open.get(name) ?? this.#context.openStore(name);
    this.#open.set(name, store);
    return await store;
  }

  close(): void {
    for (const store of this.#open.values()) {
      store.then(
        (open) => open.close(),
        () => undefined,
      );
    }
  }
}

export function isDamage(error: unknown): boolean {
  return (
    error instanceof AppError &&
    ['backup/damaged', 'backup/bad-manifest', 'backup/missing'].includes(error.code)
  );
}

function missing({ id, job, kind }: Wish): AppError {
  return new AppError({
    code: 'backup/missing',
    what:
      id === undefined
        ? `there is no verified backup of ${job ?? kind}`
        : `there is no backup ${id}`,
    hint: id === undefined ? 'holdfast backup run' : 'holdfast backup list',
  });
}
