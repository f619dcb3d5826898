import { posix } from 'node:path';
import type { Host } from '../host/host.ts';
import type { BackupJob } from '../model/backup-settings.ts';
import type { Paths } from '../model/paths.ts';
import {
  type GoneBackup,
  goneLately,
  STORED_FOLDER,
  type StoredBackups,
} from '../model/stored-backups.ts';
import type { BackupContext } from './context.ts';
import { listStored, type StoredBackup } from './inventory.ts';
import { backupPrefix, MANIFEST_NAME, madeBy } from './keys.ts';
import type { Pruned } from './prune.ts';
import type { Store } from './store/store.ts';
import { shortListing } from './sweep.ts';

type Machine = Pick<BackupContext, 'host' | 'paths'>;

/** A listing that lacks nothing that this server knows of. */
export interface WholeListing {
  /** Newest first. */
  readonly stored: readonly StoredBackup[];
  /** Nothing was known to compare it with but what this server has just stored. */
  readonly isFirst: boolean;
  /** What this server stored and somebody else removed in the last days. */
  readonly gone: readonly GoneBackup[];
  /** When the clock may have jumped. */
  readonly jumpedAt: Date | undefined;
}

const FILE = { mode: 0o644, uid: 0, gid: 0 } as const;

/** Notes that this server has stored a whole backup. The caller holds the job's lock. */
export async function noteStored({ host, paths }: Machine, job: BackupJob, id: string) {
  const known = await readStoredBackups(host, paths, job);
  const ours = [...new Set([...(known.ours ?? []), id])];
  await save(host, paths, job, { ...known, ids: [...new Set([...known.ids, id])], ours });
}

/** Notes what a pruning did, and what the next one has to know. */
export async function notePruned(
  { host, paths }: Machine,
  job: BackupJob,
  { removed, jumpedAt }: Pick<Pruned, 'removed' | 'jumpedAt'>,
): Promise<void> {
  const known = await readStoredBackups(host, paths, job);
  const left = only(known, new Set(known.ids).difference(new Set(removed)));
  await save(host, paths, job, { ...left, jumpedAt: jumpedAt?.toISOString() });
}

/** Notes whose backups were looked at, and which of them stay beyond the rules. */
export async function noteSpared(
  { host, paths }: Machine,
  job: BackupJob,
  { writers, spared }: Required<Pick<StoredBackups, 'writers' | 'spared'>>,
): Promise<void> {
  const known = await readStoredBackups(host, paths, job);
  await save(host, paths, job, { ...known, writers: { ...known.writers, ...writers }, spared });
}

/**
 * Compares a listing with what this server has stored. What the listing lacks is asked for by name: if it is there, the
 * listing was short, and whoever goes by it would remove what is needed yet. What is really gone is told, and remembered
 * for some days.
 * @throws AppError `store/short-listing`, class `store`
 */
export async function requireWholeListing(
  context: BackupContext,
  job: BackupJob,
  store: Store,
): Promise<WholeListing> {
  const { host, paths, settings, now } = context;
  const known = await readStoredBackups(host, paths, job);
  const name = madeBy(job);
  const stored = await listStored(store, settings, name);
  const complete = new Set(stored.flatMap((one) => (one.complete ? [one.id] : [])));
  const lost: string[] = [];
  for (const id of known.ids.filter((one) => !complete.has(one))) {
    const manifest = await store.head(`${backupPrefix(settings, name, id)}${MANIFEST_NAME}`);
    if (manifest !== undefined) throw shortListing(store, id);
    lost.push(id);
  }
  tellLost(context, job, store, lost);
  const noticedAt = now().toISOString();
  const gone = [
    ...goneLately(known.gone, now()).filter(({ id }) => !complete.has(id)),
    ...lost.filter((id) => known.ours?.includes(id)).map((id) => ({ id, noticedAt })),
  ];
  const compared = { ...only(known, complete), ids: [...complete], compared: true, gone };
  await save(host, paths, job, compared);
  return { stored, isFirst: known.compared !== true, gone, jumpedAt: jumpOf(known) };
}

export function jumpOf({ jumpedAt }: StoredBackups): Date | undefined {
  return jumpedAt === undefined ? undefined : new Date(jumpedAt);
}

function tellLost(
  { report }: BackupContext,
  job: BackupJob,
  store: Store,
  lost: readonly string[],
): void {
  if (lost.length === 0) return;
  const wal = job.method === 'physical' ? '; the WAL that it needs stays for seven days' : '';
  const text = `${job.name}: somebody else removed ${lost.join(', ')} from ${store.description}${wal}`;
  report({ kind: 'warning', code: 'backup/gone', text });
}

/** What is known of these backups alone. */
function only(known: StoredBackups, ids: ReadonlySet<string>): StoredBackups {
  const writers = Object.entries(known.writers ?? {}).filter(([id]) => ids.has(id));
  return {
    ...known,
    ids: known.ids.filter((id) => ids.has(id)),
    ours: (known.ours ?? []).filter((id) => ids.has(id)),
    spared: (known.spared ?? []).filter((id) => ids.has(id)),
    writers: Object.fromEntries(writers),
  };
}

/** What this server knows of a job in its store; of no backup where it knows nothing. */
export async function readStoredBackups(
  host: Host,
  paths: Paths,
  job: Pick<BackupJob, 'name' | 'store'>,
): Promise<StoredBackups> {
  const nothing: StoredBackups = { version: 1, store: job.store, ids: [] };
  const content = await host.read(fileOf(paths, job));
  if (content === undefined) return nothing;
  try {
    const known = JSON.parse(Buffer.from(content).toString('utf8')) as StoredBackups;
    return known.store === job.store && Array.isArray(known.ids) ? known : nothing;
  } catch {
    // It is made anew from the next listing; damage must not stop backups.
    return nothing;
  }
}

async function save(host: Host, paths: Paths, job: BackupJob, known: StoredBackups): Promise<void> {
  const sorted = { ...known, ids: [...known.ids].sort() };
  await host.write(fileOf(paths, job), `${JSON.stringify(sorted)}\n`, FILE);
}

function fileOf(paths: Paths, { name }: Pick<BackupJob, 'name'>): string {
  return posix.join(paths.agent, STORED_FOLDER, `${name}.json`);
}
