import { AppError } from '../../errors.ts';
import type { BackupJob, BackupSettings } from '../../model/backup-settings.ts';
import type { BackupContext } from '../context.ts';
import { isDamage } from '../damage.ts';
import { listStored } from '../inventory.ts';
import { backupPrefix } from '../keys.ts';
import type { BackupManifest } from '../manifest.ts';
import { basesFor } from '../restore/choose-base.ts';
import { readManifest } from '../verify.ts';

/** What is restored of one source of data. */
export interface DataWish {
  /** `postgres`, `redis`, `volume uploads` or `accessory mongodb`. */
  readonly what: string;
  readonly kind: 'postgres' | 'redis' | 'volume' | 'accessory';
  /** The best first; those behind it are for when its bytes are damaged. Empty when there is none. */
  readonly backups: readonly ChosenBackup[];
  /** Of Postgres with point-in-time recovery: the base backup whose WAL leads further than any dump. */
  readonly base?: string;
  /** Take the base and its WAL instead of the newest dump. */
  readonly rollsForward: boolean;
}

export interface ChosenBackup {
  readonly job: string;
  readonly id: string;
}

/** Whether nothing of it was found. */
export function isLost({ backups, base }: DataWish): boolean {
  return backups.length === 0 && base === undefined;
}

export interface OfServer {
  /** The server that is restored. */
  readonly writer: BackupManifest['writer'];
  readonly identityFile: string;
}

export interface ServerWish extends OfServer {
  /** Postgres to the end of its WAL where there is some; else that is for where there is no dump. */
  readonly latest: boolean;
}

/** A backup and the two before it. */
const CANDIDATES = 3;
/** Manifests that are read to find those of the lost server. */
const LOOKED_AT = 50;

/**
 * The newest backups of everything that the jobs save, those of the server that made the kit before those of others:
 * what else wrote to the same place may have held an empty database.
 * @param contextFor how a job's store is reached
 */
export async function chooseData(
  settings: BackupSettings,
  wish: ServerWish,
  contextFor: (job: BackupJob) => BackupContext,
): Promise<DataWish[]> {
  const { writer } = wish;
  const groups = new Map<string, { readonly kind: DataWish['kind']; readonly jobs: BackupJob[] }>();
  for (const job of settings.jobs) {
    const { source, method } = job;
    if (source.kind === 'appliance' || source.kind === 'backup') continue;
    const what = 'name' in source ? `${source.kind} ${source.name}` : source.kind;
    const group = groups.get(what) ?? { kind: source.kind, jobs: [] };
    if (method !== 'physical') group.jobs.push(job);
    groups.set(what, group);
  }
  const wishes: DataWish[] = [];
  for (const [what, { kind, jobs }] of groups) {
    const found: Candidate[] = [];
    for (const job of jobs) found.push(...(await candidatesOf(contextFor(job), job)));
    found.sort((a, b) => (a.id < b.id ? 1 : -1));
    const base = kind === 'postgres' ? await newestBase(settings, wish, contextFor) : undefined;
    const backups = await ofWriter(found, writer, what, contextFor);
    const rollsForward = base !== undefined && (wish.latest || backups.length === 0);
    wishes.push({ what, kind, backups, ...(base === undefined ? {} : { base }), rollsForward });
  }
  return wishes;
}

/** Undefined where nothing of that server can be rolled forward. */
async function newestBase(
  settings: BackupSettings,
  { writer, identityFile }: OfServer,
  contextFor: (job: BackupJob) => BackupContext,
): Promise<string | undefined> {
  const job = settings.jobs.find(({ name }) => name === settings.pitr?.job);
  if (job === undefined) return undefined;
  const context = contextFor(job);
  const store = await context.openStore(job.store);
  try {
    const target = { kind: 'latest' } as const;
    const [best] = await basesFor(context, job, store, { target, identityFile, from: writer.id });
    return best?.backup.manifest.id;
  } catch (error) {
    const isAbsent =
      error instanceof AppError &&
      ['backup/missing', 'restore/outside-window', 'restore/unknown-server'].includes(error.code);
    if (isAbsent) return undefined;
    throw error;
  } finally {
    store.close();
  }
}

interface Candidate extends ChosenBackup {
  readonly from: BackupJob;
}

/** Newest first. What was never read back is no promise, unless the config does without. */
async function candidatesOf(context: BackupContext, job: BackupJob): Promise<Candidate[]> {
  const store = await context.openStore(job.store);
  try {
    const stored = await listStored(store, context.settings, job.name);
    return stored
      .filter(({ complete, verified }) => verified || (complete && !context.settings.readBack))
      .map(({ id }) => ({ job: job.name, id, from: job }));
  } finally {
    store.close();
  }
}

async function ofWriter(
  found: readonly Candidate[],
  writer: BackupManifest['writer'],
  what: string,
  contextFor: (job: BackupJob) => BackupContext,
): Promise<ChosenBackup[]> {
  const theirs: ChosenBackup[] = [];
  for (const { job, id, from } of found.slice(0, LOOKED_AT)) {
    const isTheirs = (await writerOf(contextFor(from), from, id))?.id === writer.id;
    if (isTheirs) theirs.push({ job, id });
    if (theirs.length === CANDIDATES) break;
  }
  if (theirs.length > 0 || found.length === 0) return theirs;
  contextFor((found[0] as Candidate).from).report({
    kind: 'warning',
    code: 'restore/of-another-server',
    text: `no backup of ${what} is of ${writer.host}, which made the kit; the newest of any server is used`,
  });
  return found.slice(0, CANDIDATES).map(({ job, id }) => ({ job, id }));
}

async function writerOf(
  context: BackupContext,
  job: BackupJob,
  id: string,
): Promise<BackupManifest['writer'] | undefined> {
  const store = await context.openStore(job.store);
  try {
    const folder = backupPrefix(context.settings, job.name, id);
    return (await readManifest(store, folder, id)).manifest.writer;
  } catch (error) {
    if (isDamage(error)) return undefined;
    throw error;
  } finally {
    store.close();
  }
}
