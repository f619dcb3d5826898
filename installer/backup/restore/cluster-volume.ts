import { AppError } from '../../errors.ts';
import type { Host } from '../../host/host.ts';
import { LABELS } from '../../model/labels.ts';
import { engineName } from '../../model/stack.ts';
import type { BackupContext } from '../context.ts';
import { type HelperRequest, VOLUME_MOUNT } from '../helper-container.ts';
import { type OpenBackup, proveObject, readObject } from '../read-object.ts';
import { layDown } from './lay-down.ts';

/** The data of a cluster that is made beside the live one. */
export interface ClusterVolume {
  /** As the stack calls it: `postgres-data-20261128t183000z_3f9a1c`. */
  readonly name: string;
  /** As the engine calls it. */
  readonly engineName: string;
}

/** An empty volume that compose takes for its own once the stack names it. @param name as the stack calls it */
export async function makeClusterVolume(
  { host, project }: { readonly host: Host; readonly project: string },
  name: string,
): Promise<void> {
  await host.run({
    argv: [
      'docker',
      ...['volume', 'create'],
      ...['--label', `${LABELS.project}=${project}`],
      ...['--label', `com.docker.compose.project=${project}`],
      ...['--label', `com.docker.compose.volume=${name}`],
      engineName(project, name),
    ],
  });
}

// `$1` is the volume, `$2` the uid of the server. PGDATA is nobody else's business. The engine passes on some
// 80 MB/s (bench base), so what goes through it is compressed; Postgres' images have zstd.
const FILL = `set -eu
cd "$1"
tar --extract --zstd --file=- --numeric-owner --same-owner --preserve-permissions
: >recovery.signal
rm -f postmaster.pid
chown "$2:$2" . recovery.signal
chmod 0700 .
sync -f .`;

/**
 * Lays a base backup down in the volume, ready to be rolled forward.
 * @throws AppError `restore/failed`, `backup/damaged`
 */
export async function fillClusterVolume(
  { settings }: BackupContext,
  backup: OpenBackup,
  volume: ClusterVolume,
  request: {
    readonly task: string;
    readonly image: string;
    readonly owner: number;
    readonly limits: readonly string[];
  },
): Promise<void> {
  const object = backup.manifest.objects.find(({ role }) => role === 'cluster');
  if (object === undefined) throw new Error(`the manifest of ${backup.manifest.id} has no cluster`);
  const laying: HelperRequest = {
    project: settings.project,
    task: request.task,
    image: request.image,
    argv: ['sh', '-c', FILL, 'sh', VOLUME_MOUNT, String(request.owner)],
    volume: { name: volume.engineName, readOnly: false },
    limits: request.limits,
    capabilities: ['CHOWN', 'DAC_OVERRIDE', 'FOWNER', 'FSETID'],
  };
  try {
    await layDown(laying, readObject(backup, object), 'the files of the base backup');
  } catch (error) {
    // zstd stumbles over a changed byte before the range that holds it was read to its end.
    if (mayBeDamage(error)) await proveObject(backup, object);
    throw error;
  }
}

function mayBeDamage(error: unknown): boolean {
  if (!(error instanceof AppError) || error.code !== 'restore/failed') return false;
  return !/no space left/i.test(error.why ?? '');
}
