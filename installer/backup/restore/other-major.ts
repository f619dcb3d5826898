import { AppError } from '../../errors.ts';
import type { BackupContext } from '../context.ts';
import type { BackupManifest } from '../manifest.ts';
import { fillNewCluster } from '../upgrade/fill-cluster.ts';
import { removeServers, type UpgradeContext } from '../upgrade/upgrade-server.ts';
import { type ClusterVolume, makeClusterVolume } from './cluster-volume.ts';
import { secondVolume } from './unfinished-volume.ts';

const TASK = 'restore-other-major';
const SHOWN = 8;

/** What reads a base of another major version than the one that runs, and brings it to this one. */
export interface OtherMajors {
  /**
   * Image for the files of a base; undefined when it is the one that runs.
   * @throws AppError `restore/other-major`
   */
  readonly imageFor: (manifest: BackupManifest) => Promise<string | undefined>;
  readonly upgrading: UpgradeContext;
}

/**
 * A cluster that was recovered by another major version goes over to the one that runs, as in an upgrade.
 * @returns the new volume; the one that it was made from is gone
 * @throws AppError `restore/upgrade-differs`, `restore/upgrade-copy`, `restore/upgrade-server`
 */
export async function carryOver(
  context: BackupContext,
  { majors }: { readonly majors?: OtherMajors },
  recovered: ClusterVolume,
  image: string,
): Promise<ClusterVolume> {
  const { postgres } = context.settings;
  if (majors === undefined || postgres === undefined) throw new Error('nothing says how');
  const { upgrading } = majors;
  const volume = secondVolume(recovered);
  await removeServers(upgrading, TASK);
  await makeClusterVolume(upgrading, volume.name);
  try {
    const { differences } = await fillNewCluster(
      upgrading,
      {
        old: { task: TASK, image, volume: recovered.engineName, role: 'old' },
        young: { task: TASK, image: postgres.image, volume: volume.engineName, role: 'new' },
      },
      (text) => context.report({ kind: 'progress', id: 'restore', text }),
    );
    if (differences.length > 0) throw differs(differences);
  } finally {
    await removeServers(upgrading, TASK);
  }
  await context.host.run({ argv: ['docker', 'volume', 'rm', recovered.engineName] });
  return volume;
}

function differs(all: readonly string[]): AppError {
  return new AppError({
    code: 'restore/upgrade-differs',
    what: 'the restored data is not the same in the version of Postgres that runs',
    why: all.slice(0, SHOWN).join('\n'),
    hint: 'the live cluster was not touched; choose another moment, or a logical backup: `holdfast backup list`',
  });
}
