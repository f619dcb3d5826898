import { AppError } from '../errors.ts';
import type { BackupJob } from '../model/backup-settings.ts';
import type { StoredWriter } from '../model/stored-backups.ts';
import type { BackupContext } from './context.ts';
import { backupPrefix, MANIFEST_NAME, madeBy } from './keys.ts';
import { parseManifest } from './manifest.ts';
import { ALWAYS_KEPT, type KnownBackup } from './retention.ts';
import { isFrozen } from './settings.ts';
import { readSmall, type Store } from './store/store.ts';
import { noteSpared, readStoredBackups } from './stored-by-us.ts';
import { readTakeOver } from './take-over.ts';
import { writerIdentity } from './writer-id.ts';

/** Backups of one other server that stay although the rules give them up. */
export interface OthersBackups {
  readonly job: string;
  /** Name of the store. */
  readonly store: string;
  readonly writer: StoredWriter;
  /** Newest first. */
  readonly ids: readonly string[];
}

/** Of backups whose manifest cannot be read where they lie. */
const UNKNOWN: StoredWriter = { host: 'an unknown server', id: '' };

/**
 * Of backups that the rules give up, the newest verified ones of each other server: it may be lost, and this one be set
 * up anew in its place with an empty database, whose backups would push all of them out. Whom this server took over
 * from is no other. Manifests are read of what this server did not store itself, once each.
 * @param givenUp newest first
 * @returns ids; tells of them
 * @throws AppError of class `store`
 */
export async function sparedOf(
  context: BackupContext,
  job: BackupJob,
  store: Store,
  givenUp: readonly KnownBackup[],
): Promise<readonly string[]> {
  const { host, paths, settings, report } = context;
  const writers = await writersOf(context, job, store, givenUp);
  const us = await writerIdentity(host, paths);
  const isOther = [...writers.values()].some(({ id }) => id !== us.id);
  const continued = isOther ? await takenOverBy(store, settings, us.id) : [];
  const own = new Set([us.id, ...continued]);
  const theirs = givenUp.filter(({ id, verified }) => {
    const writer = writers.get(id);
    return verified && writer !== undefined && !own.has(writer.id);
  });
  const groups = Map.groupBy(theirs, ({ id }) => writers.get(id)?.id);
  const spared = [...groups.values()].flatMap((all) =>
    all.slice(0, ALWAYS_KEPT).map(({ id }) => id),
  );
  await noteSpared(context, job, { writers: Object.fromEntries(writers), spared });
  if (spared.length > 0) {
    const text = `${job.name}: ${spared.join(', ')} would go by keepRemote, and stay since another server made them; \`holdfast backup list\` says whose`;
    report({ kind: 'warning', code: 'backup/others-kept', text });
  }
  return spared;
}

/** What retention has kept of other servers, of one job, as it was last looked at. */
export async function othersBackups(
  { host, paths }: Pick<BackupContext, 'host' | 'paths'>,
  job: BackupJob,
): Promise<OthersBackups[]> {
  const { spared = [], writers = {} } = await readStoredBackups(host, paths, job);
  const groups = Map.groupBy(spared, (id) => writers[id]?.id ?? UNKNOWN.id);
  return [...groups.values()].map((ids) => ({
    ...{ job: job.name, store: job.store, ids },
    writer: writers[ids[0] ?? ''] ?? UNKNOWN,
  }));
}

/** Who made each; without those whose manifest is damaged: nothing comes back from them. */
async function writersOf(
  context: BackupContext,
  job: BackupJob,
  store: Store,
  backups: readonly KnownBackup[],
): Promise<ReadonlyMap<string, StoredWriter>> {
  const { host, paths, settings } = context;
  const us = await writerIdentity(host, paths);
  const known = await readStoredBackups(host, paths, job);
  const ours = new Set(known.ours);
  const found = new Map<string, StoredWriter>();
  for (const { id } of backups) {
    const isFrozenThere = isFrozen(settings, job.store);
    // What a copy was made by stands in its manifest alone; where that lies frozen, it goes by the rules.
    const isOwn = ours.has(id) && (job.source.kind !== 'backup' || isFrozenThere);
    const writer = isOwn
      ? us
      : (known.writers?.[id] ??
        (isFrozenThere ? UNKNOWN : await readWriter(context, job, store, id)));
    if (writer !== undefined) found.set(id, writer);
  }
  return found;
}

async function readWriter(
  { settings }: BackupContext,
  job: BackupJob,
  store: Store,
  id: string,
): Promise<StoredWriter | undefined> {
  const content = await readSmall(
    store,
    `${backupPrefix(settings, madeBy(job), id)}${MANIFEST_NAME}`,
  );
  if (content === undefined) return undefined;
  try {
    return parseManifest(content, `the manifest of ${id}`).writer;
  } catch (error) {
    if (error instanceof AppError && error.code === 'backup/bad-manifest') return undefined;
    throw error;
  }
}

async function takenOverBy(
  store: Store,
  place: { readonly prefix: string; readonly project: string },
  writerId: string,
): Promise<readonly string[]> {
  const found = await readTakeOver(store, place);
  return found?.writer.id === writerId ? found.fenced : [];
}
