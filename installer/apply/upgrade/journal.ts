import { posix } from 'node:path';
import { AppError } from '../../errors.ts';
import type { Host } from '../../host/host.ts';
import type { LockFile } from '../../model/lock-file.ts';
import type { Paths } from '../../model/paths.ts';
import type { ClusterVersion, UpgradeJournal } from '../../model/postgres-upgrade.ts';
import { engineName } from '../../model/stack.ts';
import type { Observed } from '../../plan/observed.ts';
import { readText } from '../read-text.ts';

function journalPath(paths: Paths): string {
  return posix.join(paths.state, 'postgres-upgrade.json');
}

/** Undefined where Postgres was never upgraded, or came back from it. */
export async function readUpgrade(host: Host, paths: Paths): Promise<UpgradeJournal | undefined> {
  const text = await readText(host, journalPath(paths));
  return text === undefined ? undefined : (JSON.parse(text) as UpgradeJournal);
}

/** One file that is replaced in one step: this is where an upgrade, and the way back, is decided. */
export async function saveUpgrade(
  host: Host,
  paths: Paths,
  journal: UpgradeJournal,
): Promise<void> {
  await host.write(journalPath(paths), `${JSON.stringify(journal)}\n`, {
    mode: 0o600,
    uid: 0,
    gid: 0,
  });
}

export async function forgetUpgrade(host: Host, paths: Paths): Promise<void> {
  await host.remove(journalPath(paths));
}

/** The lock file with the cluster that counts, which a kill may have left to the journal alone. */
export function lockInForce(lock: LockFile, journal: UpgradeJournal | undefined): LockFile {
  switch (journal?.phase) {
    case 'switched':
      return withCluster(lock, journal.to);
    case 'reverting':
      return withCluster(lock, journal.from);
    default:
      return lock;
  }
}

/**
 * The lock file with the cluster of before the upgrade, which is kept until somebody drops it.
 * @throws AppError `usage/no-upgrade` when it is gone: compose would make an empty one under its name
 */
export function lockOfBefore(
  { lock, volumes }: Pick<Observed, 'lock' | 'volumes'>,
  project: string,
  { from }: UpgradeJournal,
): LockFile {
  const volume = engineName(project, from.volume);
  if (volumes.includes(volume)) return withCluster(lock, from);
  throw new AppError({
    code: 'usage/no-upgrade',
    what: `the cluster of Postgres ${from.major} is gone, so there is no way back to it`,
    why: `its volume ${volume} was removed; nothing was changed`,
    hint: 'holdfast restore: backups and moments before now',
  });
}

function withCluster(lock: LockFile, { volume, image }: ClusterVersion): LockFile {
  return { ...lock, postgresVolume: volume, images: { ...lock.images, postgres: image } };
}
