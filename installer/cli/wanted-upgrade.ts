import { freeSpace } from '../apply/disk.ts';
import { lastRehearsal } from '../backup/upgrade/rehearse.ts';
import { POSTGRES_VOLUME } from '../components/postgres/names.ts';
import { AppError } from '../errors.ts';
import { formatBytes } from '../model/format-bytes.ts';
import type { LockedImage, LockFile } from '../model/lock-file.ts';
import { majorOf, type PostgresUpgrade, type WantedUpgrade } from '../model/postgres-upgrade.ts';
import { engineName } from '../model/stack.ts';
import type { Observed } from '../plan/observed.ts';
import type { CliContext, Server } from './context.ts';
import { bytesOf, isOf, runningPostgres, upgradeContext } from './postgres-clusters.ts';

const GIB = 1024 ** 3;
/** Roles, templates and the first WAL of a cluster. */
const EMPTY_CLUSTER = 128 * 1024 ** 2;

/**
 * The change of the major version that a config asks for over existing data; undefined when there is none.
 * @param allowed whether this command may carry it out
 * @throws AppError `config/postgres-major`, `preflight/disk-full`
 */
export async function wantedUpgrade(
  context: CliContext,
  server: Server,
  observed: Observed,
  request: {
    readonly project: string;
    readonly image: LockedImage | undefined;
    readonly allowed: boolean;
  },
): Promise<WantedUpgrade | undefined> {
  const { project, image, allowed } = request;
  const { lock, volumes, manifest } = observed;
  const before = lock.images.postgres;
  const volume = lock.postgresVolume ?? POSTGRES_VOLUME;
  const from = before === undefined ? lock.postgresMajor : majorOf(before);
  if (from === undefined || image === undefined) return undefined;
  const to = majorOf(image);
  if (from === to || !volumes.includes(engineName(project, volume))) return undefined;
  // Nothing runs that an upgrade could read.
  if (before === undefined) throw isAway(from, to);
  if (!allowed || Number(to) < Number(from) || manifest.generation === 0) {
    throw refused(observed, from, to);
  }
  // Whoever made them: compose and we would take a volume of somebody else for our own.
  const taken = (await server.engine.volumes({})).map(({ name }) => name);
  const upgrade: PostgresUpgrade = {
    from: { major: from, volume, image: before },
    to: { major: to, volume: newVolume(project, to, observed, taken), image },
  };
  return { ...upgrade, ...(await factsOf(context, server, project, upgrade)) };
}

/** What the lock file remembers of a Postgres that the config has no more: its volume stays. */
export function majorAway(
  before: LockFile,
  images: LockFile['images'],
): Pick<LockFile, 'postgresMajor'> {
  if (images.postgres !== undefined) return {};
  const { postgres } = before.images;
  const postgresMajor = postgres === undefined ? before.postgresMajor : majorOf(postgres);
  return postgresMajor === undefined ? {} : { postgresMajor };
}

/** @throws AppError `preflight/disk-full` */
async function factsOf(
  context: CliContext,
  server: Server,
  project: string,
  upgrade: PostgresUpgrade,
): Promise<Omit<WantedUpgrade, 'from' | 'to'>> {
  const upgrading = upgradeContext(context, server, project);
  const rehearsal = await lastRehearsal(upgrading);
  const bytes = await bytesOf(await runningPostgres(upgrading, 'holdfast-plan'));
  // A rehearsal is done with a copy of the files beside the copy of the data. A copy is smaller than what it was
  // made from, but for the WAL of its making.
  const neededBytes = 2 * bytes + Math.min(GIB, bytes) + 2 * EMPTY_CLUSTER;
  const { dataRoot } = await server.engine.info();
  const { free: freeBytes, mount } = await freeSpace(server.host, dataRoot);
  if (freeBytes < neededBytes) {
    throw new AppError({
      code: 'preflight/disk-full',
      what: `${mount} has no room for a second cluster of Postgres; nothing was changed`,
      why: `${formatBytes(freeBytes)} are free; ${formatBytes(neededBytes)} are needed for the rehearsal and the copy`,
      hint: 'make room (`docker system df` and `holdfast volumes list` show what takes it), then run the same command again',
      details: { freeBytes, neededBytes },
    });
  }
  return { bytes, neededBytes, freeBytes, ...(isOf(upgrade, rehearsal) ? { rehearsal } : {}) };
}

/** A name that no volume has, or that of an attempt which was killed. */
export function newVolume(
  project: string,
  major: string,
  { postgresUpgrade }: Pick<Observed, 'postgresUpgrade'>,
  taken: readonly string[],
): string {
  if (postgresUpgrade?.phase === 'copying' && postgresUpgrade.to.major === major) {
    return postgresUpgrade.to.volume;
  }
  for (let count = 1; ; count += 1) {
    const name = `${POSTGRES_VOLUME}-${major}${count === 1 ? '' : `-${count}`}`;
    if (!taken.includes(engineName(project, name))) return name;
  }
}

function isAway(from: string, to: string): AppError {
  return new AppError({
    code: 'config/postgres-major',
    what: `the data that Postgres left on this server is of Postgres ${from}, and the config leads to ${to}; nothing was changed`,
    why: 'a server of another major version does not read the files of this one',
    hint: `write postgres.version: "${from}" and run \`holdfast apply\`; after that, another version upgrades the data`,
  });
}

function refused({ postgresUpgrade }: Observed, from: string, to: string): AppError {
  const isBack = postgresUpgrade?.from.major === to && postgresUpgrade.to.major === from;
  return new AppError({
    code: 'config/postgres-major',
    what: `the data of this server is of Postgres ${from}, and the config leads to ${to}; nothing was changed`,
    why: 'a server of another major version does not read the files of this one',
    hint: hintFor(isBack, from, to),
  });
}

function hintFor(isBack: boolean, from: string, to: string): string {
  if (isBack) return `back to the cluster of before the upgrade: \`holdfast postgres revert\``;
  if (Number(to) > Number(from)) return 'an upgrade is carried out by `holdfast apply` alone';
  return `ask for postgres.version: "${from}" again; an older version takes the data from a logical backup only`;
}
