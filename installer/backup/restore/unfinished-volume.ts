import { posix } from 'node:path';
import { engineName } from '../../model/stack.ts';
import { idSuffix, newBackupId } from '../backup-id.ts';
import type { BackupContext } from '../context.ts';
import { type ClusterVolume, makeClusterVolume } from './cluster-volume.ts';

/** Begins the name of every volume that a restore made. */
const RESTORED_VOLUME = 'postgres-data-';

/**
 * An empty volume for a restore. Its name is noted until it is swapped
 * in, so that the next restore removes what a killed one left, and never one that is or was live.
 */
export async function beginVolume(context: BackupContext): Promise<ClusterVolume> {
  const { host, settings, now } = context;
  const name = `${RESTORED_VOLUME}${idSuffix(newBackupId(now())).replaceAll('_', '-')}`;
  const volume = { name, engineName: engineName(settings.project, name) };
  await host.write(noteFile(context), `${JSON.stringify({ version: 1, ...volume })}\n`, {
    mode: 0o600,
    uid: 0,
    gid: 0,
  });
  await makeClusterVolume({ host, project: settings.project }, volume.name);
  return volume;
}

/** What a restore needs beside its volume when the data goes on to another major version. */
export function secondVolume({ name, engineName }: ClusterVolume): ClusterVolume {
  return { name: `${name}-carried`, engineName: `${engineName}-carried` };
}

/** Removes the volume of a restore that did not come to its swap. */
export async function removeUnfinished(context: BackupContext): Promise<void> {
  const content = await context.host.read(noteFile(context));
  if (content === undefined) return;
  const volume = JSON.parse(Buffer.from(content).toString('utf8')) as ClusterVolume;
  await context.host.run({
    argv: ['docker', 'volume', 'rm', '--force', volume.engineName, secondVolume(volume).engineName],
  });
  await forgetUnfinished(context);
}

export async function forgetUnfinished(context: BackupContext): Promise<void> {
  await context.host.remove(noteFile(context));
}

function noteFile({ paths }: BackupContext): string {
  return posix.join(paths.agent, 'restoring-cluster.json');
}
