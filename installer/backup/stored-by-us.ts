import { posix } from 'node:path';
import type { Host } from '../host/host.ts';
import type { BackupJob } from '../model/backup-settings.ts';
import type { Paths } from '../model/paths.ts';
import type { BackupContext } from './context.ts';
import { listStored } from './inventory.ts';
import { backupPrefix, MANIFEST_NAME, madeBy } from './keys.ts';
import type { Store } from './store/store.ts';
import { shortListing } from './sweep.ts';

/** What this server knows that a job has in its store. */
interface Known {
  readonly version: 1;
  /** Name of the store: another one begins anew. */
  readonly store: string;
  readonly ids: readonly string[];
}

const FILE = { mode: 0o644, uid: 0, gid: 0 } as const;

/** Notes that a backup lies whole in the store. The caller holds the job's lock. */
export async function noteStored(
  { host, paths }: Pick<BackupContext, 'host' | 'paths'>,
  job: BackupJob,
  id: string,
): Promise<void> {
  const ids = await knownIds(host, paths, job);
  if (!ids.includes(id)) await save(host, paths, job, [...ids, id]);
}

export async function noteRemoved(
  { host, paths }: Pick<BackupContext, 'host' | 'paths'>,
  job: BackupJob,
  removed: readonly string[],
): Promise<void> {
  if (removed.length === 0) return;
  const ids = await knownIds(host, paths, job);
  await save(
    host,
    paths,
    job,
    ids.filter((id) => !removed.includes(id)),
  );
}

/**
 * Compares a listing with what this server has stored. What the listing lacks is asked for by name: if it is there, the
 * listing was short, and whoever goes by it would remove what is needed yet. What is really gone is told and forgotten.
 * @throws AppError `store/short-listing`, class `store`
 */
export async function requireWholeListing(
  context: BackupContext,
  job: BackupJob,
  store: Store,
): Promise<void> {
  const { host, paths, settings, report } = context;
  const ids = await knownIds(host, paths, job);
  const name = madeBy(job);
  const listed = await listStored(store, settings, name);
  const complete = new Set(listed.flatMap((one) => (one.complete ? [one.id] : [])));
  const gone: string[] = [];
  for (const id of ids.filter((one) => !complete.has(one))) {
    const manifest = await store.head(`${backupPrefix(settings, name, id)}${MANIFEST_NAME}`);
    if (manifest !== undefined) throw shortListing(store, id);
    gone.push(id);
  }
  if (gone.length > 0) {
    const text = `${job.name}: somebody else removed ${gone.join(', ')} from ${store.description}`;
    report({ kind: 'warning', code: 'backup/gone', text });
  }
  await save(host, paths, job, [...complete]);
}

async function knownIds(host: Host, paths: Paths, job: BackupJob): Promise<readonly string[]> {
  const content = await host.read(fileOf(paths, job));
  if (content === undefined) return [];
  try {
    const known = JSON.parse(Buffer.from(content).toString('utf8')) as Known;
    return known.store === job.store ? known.ids : [];
  } catch {
    // It is made anew from the next listing; damage must not stop backups.
    return [];
  }
}

async function save(
  host: Host,
  paths: Paths,
  { name, store }: BackupJob,
  ids: readonly string[],
): Promise<void> {
  const known: Known = { version: 1, store, ids: [...ids].sort() };
  await host.write(fileOf(paths, { name }), `${JSON.stringify(known)}\n`, FILE);
}

function fileOf(paths: Paths, { name }: Pick<BackupJob, 'name'>): string {
  return posix.join(paths.agent, 'stored', `${name}.json`);
}
