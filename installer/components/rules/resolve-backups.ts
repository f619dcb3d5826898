import type { BackupJobInput, BackupsInput } from '../backups/section.ts';
import { backupsSection } from '../backups/section.ts';
import type { ConfigFile } from '../sections.ts';
import type { BackupJob, BackupSource, Backups, Service } from './resolved.ts';

/** The provider that is always there: a directory on this server. */
export const LOCAL_PROVIDER = { kind: 'directory', path: '/var/lib/holdfast/backups' } as const;
const DEFAULT_CRON = '0 2 * * *';
/** After the dumps, so that the kit is of the day that they are. */
const DEFAULT_KIT_CRON = '0 3 * * *';
const DEFAULT_BASE_CRON = '0 1 * * *';
const DAY = 86_400;
const DEFAULT_VOLUME_CRON = '30 2 * * *';
const DEFAULT_ACCESSORY_CRON = '15 2 * * *';
/** The longest of what the five systems keep: five weeks of days, eight of weeks, a year of months. */
const DEFAULT_KEEP = { daily: 35, weekly: 8, monthly: 12 } as const;

interface Surroundings {
  readonly project: string;
  readonly hasPostgres: boolean;
  /** Of point-in-time recovery, seconds; undefined where it is not asked for. */
  readonly pitrWindow?: number | undefined;
  readonly services: Readonly<Record<string, Service>>;
}

/** The backups as the agent will run them: the jobs of the file, or the default one, and one per volume that asks. */
export function resolveBackups(
  file: ConfigFile,
  { project, hasPostgres, pitrWindow, services }: Surroundings,
): Backups {
  const written: BackupsInput = file.backups ?? backupsSection.parse({});
  const jobs = (written.jobs ?? defaultJobs(file, written, hasPostgres)).map((job) =>
    resolveJob(job, written),
  );
  const covered = new Set(
    jobs.flatMap((job) => (job.source.kind === 'volume' ? [job.source.name] : [])),
  );
  const wishes = [
    ...Object.values(services).flatMap((service) => service.volumes),
    ...Object.values(file.accessories).flatMap((accessory) => accessory.volumes),
    ...Object.values(file.sites).flatMap(({ downloads }) =>
      downloads === undefined ? [] : [{ name: downloads.volume, backup: true }],
    ),
  ];
  const open = new Set(
    wishes
      .filter((volume) => volume.backup !== false && !covered.has(volume.name))
      .map(({ name }) => name),
  );
  const dumped = new Set(
    jobs.flatMap(({ source }) => (source.kind === 'accessory' ? [source.name] : [])),
  );
  const accessoryJobs = Object.entries(file.accessories)
    .filter(([name, { dump }]) => dump !== undefined && !dumped.has(name))
    .map(([name]) => resolveJob(accessoryJob(name, jobs), written));
  const volumeJobs = [...open].map((volume) => resolveJob(volumeJob(volume, jobs), written));
  return {
    ...written,
    prefix: written.prefix ?? project,
    jobs: [...jobs, ...baseJobs(pitrWindow, jobs, written), ...volumeJobs, ...accessoryJobs],
    isDefault: file.backups === undefined,
  };
}

/** A recovery kit on the disk that it would replace helps nobody. */
function defaultJobs(
  { storage }: ConfigFile,
  { provider, encryption }: BackupsInput,
  hasPostgres: boolean,
): BackupJobInput[] {
  const kind = Object.hasOwn(storage.providers, provider)
    ? storage.providers[provider]?.kind
    : 'directory';
  const leaves = kind !== 'directory' && encryption === 'age';
  return [
    ...(hasPostgres ? [{ name: 'daily', source: 'postgres', cron: DEFAULT_CRON } as const] : []),
    ...(leaves
      ? [{ name: 'appliance', source: 'appliance', cron: DEFAULT_KIT_CRON } as const]
      : []),
  ];
}

/** The base backups that WAL rolls forward, unless the file has a job that makes them. */
function baseJobs(
  window: number | undefined,
  jobs: readonly BackupJob[],
  written: BackupsInput,
): BackupJob[] {
  const isThere = jobs.some(
    ({ source, method }) => source.kind === 'postgres' && method === 'physical',
  );
  if (window === undefined || isThere) return [];
  return [
    resolveJob(
      {
        name: freeName('base', jobs),
        source: 'postgres',
        method: 'physical',
        cron: DEFAULT_BASE_CRON,
        // The window begins in the middle between two of them.
        keepRemote: window + DAY,
      },
      written,
    ),
  ];
}

function volumeJob(volume: string, jobs: readonly BackupJob[]): BackupJobInput {
  const name = freeName(`volume-${volume}`, jobs);
  return { name, source: `volume:${volume}`, cron: DEFAULT_VOLUME_CRON };
}

/** Whoever says how to dump wants it done. */
function accessoryJob(accessory: string, jobs: readonly BackupJob[]): BackupJobInput {
  const name = freeName(`accessory-${accessory}`, jobs);
  return { name, source: accessory, cron: DEFAULT_ACCESSORY_CRON };
}

function freeName(wished: string, jobs: readonly BackupJob[]): string {
  const taken = new Set(jobs.map((job) => job.name));
  let name = wished;
  while (taken.has(name)) name = `${name}-files`;
  return name;
}

function resolveJob(job: BackupJobInput, backups: BackupsInput): BackupJob {
  const source = parseBackupSource(job.source);
  const saysKeep = job.keep !== undefined || job.keepRemote !== undefined;
  return {
    ...job,
    source,
    method: job.method ?? defaultMethod(source),
    provider: job.provider ?? backups.provider,
    ...(!saysKeep && { keep: DEFAULT_KEEP }),
  };
}

export function parseBackupSource(written: string): BackupSource {
  if (written === 'postgres' || written === 'redis' || written === 'appliance') {
    return { kind: written };
  }
  const [kind, name] = written.split(':');
  if ((kind === 'volume' || kind === 'backup') && name !== undefined) return { kind, name };
  return { kind: 'accessory', name: written };
}

function defaultMethod(source: BackupSource): BackupJob['method'] {
  switch (source.kind) {
    case 'postgres':
    case 'accessory':
      return 'logical';
    case 'backup':
      return 'copy';
    case 'redis':
    case 'appliance':
    case 'volume':
      return 'archive';
  }
}
