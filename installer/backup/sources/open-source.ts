import type { ContainerState } from '../../engine/engine.ts';
import { AppError } from '../../errors.ts';
import type { BackupJob } from '../../model/backup-settings.ts';
import { LABELS } from '../../model/labels.ts';
import type { BackupContext } from '../context.ts';
import { type PostgresServer, postgresDown } from '../psql.ts';
import { readSecret } from '../settings.ts';
import { type AccessorySource, openAccessorySource } from './accessory.ts';
import { openApplianceSource } from './appliance.ts';
import { openPhysicalSource } from './physical.ts';
import { openPostgresSource } from './postgres.ts';
import { openRedisSource, REDIS_ADMIN_SECRET, type RedisServer } from './redis.ts';
import type { Source } from './source.ts';
import { openVolumeSource } from './volume.ts';

/** Looks at what a job saves. @throws AppError when it cannot be read now */
export async function openSource(context: BackupContext, job: BackupJob): Promise<Source> {
  const { source } = job;
  switch (source.kind) {
    case 'postgres': {
      const server = await livePostgres(context, `holdfast-backup-${job.name}`);
      return job.method === 'physical'
        ? await openPhysicalSource(server, context.settings.pitr, (problem) => {
            context.report({ kind: 'warning', code: problem.code, text: problem.message });
          })
        : await openPostgresSource(server, source, context.report);
    }
    case 'redis':
      return await openRedisSource(await liveRedis(context));
    case 'appliance':
      return await openApplianceSource(context);
    case 'volume':
      return await openVolumeSource(context, source, job.name);
    case 'backup':
      throw new TypeError(`${job.name} copies: it reads nothing of its own`);
    case 'accessory':
      await requireAccessory(context, source);
      return await openAccessorySource(context, source, `backup-${job.name}`);
  }
}

/** The running Postgres of the stack. @throws AppError `backup/postgres-down` */
export async function livePostgres(
  { engine, settings }: BackupContext,
  applicationName: string,
): Promise<PostgresServer> {
  const { postgres } = settings;
  if (postgres === undefined) throw notInStack('postgres');
  const found = await findContainer(engine, settings.project, postgres.container);
  if (found?.status !== 'running') {
    throw postgresDown(postgres.container, `the container is ${found?.status ?? ABSENT}`);
  }
  return {
    engine,
    container: postgres.container,
    superuser: postgres.superuser,
    applicationName,
    ...(found.pid === undefined ? {} : { pid: found.pid }),
  };
}

export async function liveRedis({
  engine,
  host,
  paths,
  settings,
}: BackupContext): Promise<RedisServer> {
  const { redis } = settings;
  if (redis === undefined) throw notInStack('redis');
  const state = (await findContainer(engine, settings.project, redis.container))?.status ?? ABSENT;
  if (state !== 'running') {
    throw new AppError({
      code: 'backup/redis',
      what: `Redis in ${redis.container} does not answer`,
      why: `the container is ${state}`,
      hint: 'holdfast status; holdfast logs redis',
    });
  }
  const password = await readSecret(host, paths, REDIS_ADMIN_SECRET);
  if (password === undefined) {
    throw new AppError({
      code: 'secret/missing',
      what: `the secret ${REDIS_ADMIN_SECRET} is not there`,
      hint: 'holdfast apply',
    });
  }
  return { engine, container: redis.container, password };
}

/** @throws AppError `backup/accessory-down` */
export async function requireAccessory(
  { engine, settings }: BackupContext,
  { name, container }: AccessorySource,
): Promise<void> {
  const state = (await findContainer(engine, settings.project, container))?.status ?? ABSENT;
  if (state === 'running') return;
  throw new AppError({
    code: 'backup/accessory-down',
    what: `${name} does not run, so its own commands cannot save or restore it`,
    why: `the container ${container} is ${state}`,
    hint: `holdfast status; holdfast logs ${name}`,
  });
}

const ABSENT = 'not there';

async function findContainer(
  engine: BackupContext['engine'],
  project: string,
  container: string,
): Promise<ContainerState | undefined> {
  const containers = await engine.containers({ [LABELS.project]: project });
  return containers.find(({ name }) => name === container);
}

function notInStack(what: string): AppError {
  return new AppError({
    code: 'backup/not-applied',
    what: `a backup of ${what} is asked for, but the stack has none`,
    hint: 'holdfast apply',
  });
}
