import { posix } from 'node:path';
import { z } from 'zod';
import { AppError } from '../errors.ts';
import type { Host } from '../host/host.ts';
import type { BackupJob, BackupSettings, BackupStore } from '../model/backup-settings.ts';
import type { Paths } from '../model/paths.ts';
import { Secret } from '../model/secret.ts';

/** Only what would make later code read nonsense; `apply` rendered the rest from a checked config. */
const shape = z.looseObject({
  version: z.literal(1),
  project: z.string().min(1),
  prefix: z.string(),
  timezone: z.string().min(1),
  stores: z.array(z.looseObject({ kind: z.enum(['directory', 's3', 'r2']), name: z.string() })),
  jobs: z.array(
    z.looseObject({
      name: z.string(),
      store: z.string(),
      source: z.looseObject({
        kind: z.enum(['postgres', 'redis', 'volume', 'appliance', 'accessory', 'backup']),
      }),
      keepRemote: z.looseObject({}),
    }),
  ),
  recipients: z.array(z.string()),
  encryption: z.enum(['age', 'none']),
  readBack: z.boolean(),
  assertions: z.array(z.string()),
});

/** The applied backup settings of a server. @throws AppError `backup/not-applied` */
export async function readBackupSettings(host: Host, paths: Paths): Promise<BackupSettings> {
  const path = posix.join(paths.stack, 'agent', 'backup.json');
  const content = await host.read(path);
  if (content === undefined) throw notApplied(`${path} is not there`);
  let value: unknown;
  try {
    value = JSON.parse(Buffer.from(content).toString('utf8'));
  } catch (cause) {
    throw notApplied(`${path}: ${(cause as Error).message}`);
  }
  const checked = shape.safeParse(value);
  if (!checked.success) throw notApplied(`${path}: ${z.prettifyError(checked.error)}`);
  return value as BackupSettings;
}

function notApplied(why: string): AppError {
  return new AppError({
    code: 'backup/not-applied',
    what: 'no backups are set up on this server',
    why,
    hint: 'holdfast apply',
  });
}

/** @throws AppError `usage/unknown-job` */
export function findJob(settings: BackupSettings, name: string): BackupJob {
  const job = settings.jobs.find((one) => one.name === name);
  if (job !== undefined) return job;
  const names = settings.jobs.map((one) => one.name).join(', ');
  throw new AppError({
    code: 'usage/unknown-job',
    what: `there is no backup job ${name}`,
    why: names === '' ? 'no job is configured' : `the jobs are: ${names}`,
    hint: 'holdfast backup list',
  });
}

/** @throws AppError `backup/not-applied` */
export function findStore(settings: BackupSettings, name: string): BackupStore {
  const store = settings.stores.find((one) => one.name === name);
  if (store === undefined) throw notApplied(`there is no store ${name}`);
  return store;
}

/** Classes whose objects have to be thawed for hours before they can be read. */
const FROZEN = new Set(['GLACIER', 'DEEP_ARCHIVE']);

export function isFrozen(settings: BackupSettings, storeName: string): boolean {
  const store = findStore(settings, storeName);
  return store.kind !== 'directory' && FROZEN.has(store.storageClass ?? '');
}

/** Whether what is stored there is read back and compared. */
export function readsBackFrom(settings: BackupSettings, storeName: string): boolean {
  return settings.readBack && !isFrozen(settings, storeName);
}

/** A secret of the store on this server, without the line end that an editor may have left. */
export async function readSecret(
  host: Host,
  paths: Paths,
  name: string,
): Promise<Secret | undefined> {
  const content = await host.read(posix.join(paths.secrets, name));
  if (content === undefined) return undefined;
  return new Secret(
    Buffer.from(content)
      .toString('utf8')
      .replace(/\r?\n$/, ''),
  );
}
