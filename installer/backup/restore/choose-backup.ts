import { AppError } from '../../errors.ts';
import type { BackupJob, BackupSource } from '../../model/backup-settings.ts';
import type { BackupContext } from '../context.ts';
import { openCopiesFirst } from '../copies-first.ts';
import { isDamage } from '../damage.ts';
import { copiesOnServer, type FoundBackup, findBackups, isStoreError } from '../find-backups.ts';
import { findCopies } from '../find-copies.ts';
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
        const next = candidates[index + 1];
        if (next === undefined || wish.proveStore === true) throw error;
        // Another store may be up, and hold the same.
        const isElsewhere = next.store !== candidate.store && isStoreError(error);
        if (!isDamage(error) && !isElsewhere) throw error;
        context.report({
          kind: 'warning',
          code: 'restore/fell-back',
          text: fellBack(candidate, next, error),
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
  { job, id, onServer, store }: Candidate,
  { identityFile, proveStore }: Wish,
): Promise<OpenBackup> {
  const folder = backupPrefix(context.settings, job.name, id);
  const copies = onServer && proveStore !== true ? copiesOnServer(context) : undefined;
  const { report } = context;
  const places = { store: await stores.open(store), copies, report };
  return { ...(await openCopiesFirst(places, folder, id)), folder, identityFile };
}

/** A backup in one of the stores where it lies. */
interface Candidate extends FoundBackup {
  /** Name of the store. */
  readonly store: string;
}

function fellBack(from: Candidate, to: Candidate, error: unknown): string {
  const { message } = error as Error;
  if (to.id === from.id) {
    return `${from.id} cannot be had from ${from.store}, so its copy in ${to.store} is used: ${message}`;
  }
  return `${from.id} is damaged, so the one before it is used: ${message}`;
}

/** Newest first, each in its own store before its copies; of one id when that is wished. */
async function find(context: BackupContext, stores: OpenStores, wish: Wish): Promise<Candidate[]> {
  const { id } = wish;
  const found: Candidate[] = [];
  for (const job of context.settings.jobs) {
    if (!isMeant(job, wish)) continue;
    const copy = id === undefined ? undefined : await copyOf(context, job, id);
    if (copy !== undefined) return [copy];
    found.push(...(await candidatesOf(context, stores, job, wish)));
  }
  if (found.length === 0) throw missing(wish);
  // The sort keeps the order of equals.
  found.sort((a, b) => (a.id < b.id ? 1 : a.id > b.id ? -1 : 0));
  return id === undefined ? await ofWishedServer(context, stores, found, wish) : found;
}

function isMeant({ name, source, method }: BackupJob, { job, id, kind }: Wish): boolean {
  // Copies are found with what they are copied from.
  if (source.kind === 'backup') return false;
  if (job !== undefined) return job === name;
  return id !== undefined || (source.kind === kind && method !== 'physical');
}

async function candidatesOf(
  context: BackupContext,
  stores: OpenStores,
  job: BackupJob,
  wish: Wish,
): Promise<Candidate[]> {
  const open = (name: string): Promise<Store> => stores.open(name);
  const { backups, storeError } = await findBackups(context, job, await open(job.store));
  const copies = wish.proveStore === true ? [] : await findCopies(context, job, open);
  const isWished = ({
    id,
    complete,
    verified,
  }: Pick<FoundBackup, 'id' | 'complete' | 'verified'>) =>
    wish.id === undefined ? verified : complete && id === wish.id;
  const found: Candidate[] = [
    ...backups
      .filter((one) => isWished(one) && (one.inStore || wish.proveStore !== true))
      .map((one) => ({ ...one, store: job.store })),
    ...copies.filter(isWished).map((one) => ({ ...one, job, inStore: true, onServer: false })),
  ];
  if (storeError === undefined) return found;
  if (found.length === 0 || wish.proveStore === true) throw storeError;
  const text = `${job.store} cannot be looked at, so only copies are: ${storeError.message}`;
  context.report({ kind: 'warning', code: storeError.code, text });
  return found;
}

/** A copy on this server needs no store, which may be what is down. */
async function copyOf(
  context: BackupContext,
  job: BackupJob,
  id: string,
): Promise<Candidate | undefined> {
  const copies = await listStored(copiesOnServer(context), context.settings, job.name);
  const copy = copies.find((one) => one.id === id && one.complete);
  if (copy === undefined) return undefined;
  const { complete, verified, size } = copy;
  const places = { store: job.store, inStore: true, onServer: true };
  return { id, job, complete, verified, size, ...places };
}

async function ofWishedServer(
  context: BackupContext,
  stores: OpenStores,
  found: readonly Candidate[],
  wish: Wish,
): Promise<Candidate[]> {
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
  readonly found: Candidate;
}

async function attributed(
  context: BackupContext,
  stores: OpenStores,
  found: readonly Candidate[],
  wish: Wish,
): Promise<Attributed[]> {
  const writerOf = async (one: Candidate): Promise<Writer | undefined> => {
    try {
      const quiet = { ...context, report: () => undefined };
      return (await openOne(quiet, stores, one, wish)).manifest.writer;
    } catch (error) {
      // Whoever reaches it finds it damaged then, and goes on to the one before it.
      if (isDamage(error) || (wish.proveStore !== true && isStoreError(error))) return undefined;
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
