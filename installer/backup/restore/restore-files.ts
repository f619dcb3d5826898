import { posix } from 'node:path';
import { formatSpan } from '../../model/format-bytes.ts';
import { LABELS } from '../../model/labels.ts';
import { backupIdTime } from '../backup-id.ts';
import type { BackupContext } from '../context.ts';
import { exclusively } from '../exclusive.ts';
import { helperImage } from '../helper-container.ts';
import type { BackupManifest, BackupObject } from '../manifest.ts';
import { type OpenBackup, readObject } from '../read-object.ts';
import { liveRedis } from '../sources/open-source.ts';
import { redisSetting } from '../sources/redis.ts';
import { decompress } from '../zstd.ts';
import { type HoldServer, replaceVolume } from './volume-swap.ts';

export interface FilesWish {
  /** Asks whether to go on; a no throws `consent/refused`. */
  readonly consent: (question: string) => Promise<void>;
  readonly holdServer: HoldServer;
}

export interface RestoredFiles {
  readonly volume: string;
  /** Folder on this machine with the files that were there. */
  readonly kept: string;
}

// Fills a folder, `$1`, from the archive of a volume. By itself tar lays down attributes of users alone, which
// a program's right to bind port 80 (`security.capability`) is none of.
export const UNTAR = `tar --extract --file=- --numeric-owner --same-owner --preserve-permissions --xattrs --xattrs-include='*' --acls --directory="$1"`;

// Fills a folder, `$1`, from a dump of Redis.
// Redis with an AOF reads that alone: the dump becomes the base of a new one. `$2` is not given: names are Redis' own.
export const REDIS_TREE = `cat >"$1/dump.rdb"
redis-check-rdb "$1/dump.rdb" >/dev/null
mkdir "$1/appendonlydir"
cp "$1/dump.rdb" "$1/appendonlydir/appendonly.aof.1.base.rdb"
echo "file appendonly.aof.1.base.rdb seq 1 type b" >"$1/appendonlydir/appendonly.aof.manifest"
chown -R --reference=. "$1"`;

/** Restores the files of a volume in the place of those that are there, which are kept. */
export async function restoreVolume(
  context: BackupContext,
  backup: OpenBackup,
  wish: FilesWish,
): Promise<RestoredFiles> {
  const { source } = backup.manifest;
  if (source.kind !== 'volume') throw new TypeError(`${backup.manifest.id} is no volume`);
  const { engine, settings } = context;
  const image = await helperImage(engine, settings.project, settings.postgres?.image);
  const object = onlyObject(backup.manifest, 'volume');
  return await locked(context, async () => ({
    volume: source.volume,
    ...(await replaceVolume(context, {
      id: backup.manifest.id,
      volume: source.volume,
      image,
      fillScript: UNTAR,
      content: () => decompress(readObject(backup, object)),
      consent: (containers) => wish.consent(question(context, backup.manifest, containers)),
      holdServer: wish.holdServer,
    })),
  }));
}

/** Restores the data of Redis in the place of what is there, which is kept. */
export async function restoreRedis(
  context: BackupContext,
  backup: OpenBackup,
  wish: FilesWish,
): Promise<RestoredFiles> {
  const { host } = context;
  const { container, folder } = await redisPlace(context);
  const object = onlyObject(backup.manifest, 'redis');
  const { stdout } = await host.run({
    argv: [
      'docker',
      'inspect',
      '--format',
      '{{.Image}}{{range .Mounts}}{{"\\n"}}{{.Destination}} {{.Name}}{{end}}',
      container,
    ],
  });
  const [image = '', ...mounts] = stdout.trim().split('\n');
  const volume = mounts
    .map((mount) => mount.split(' '))
    .find(([destination]) => destination === folder)?.[1];
  if (volume === undefined) throw new Error(`Redis keeps ${folder} in no volume`);
  return await locked(context, async () => ({
    volume,
    ...(await replaceVolume(context, {
      id: backup.manifest.id,
      volume,
      image,
      fillScript: REDIS_TREE,
      content: () => readObject(backup, object),
      consent: (containers) => wish.consent(question(context, backup.manifest, containers)),
      holdServer: wish.holdServer,
    })),
  }));
}

/** A Redis that no longer starts cannot be asked; then it is where our own keeps its data. */
async function redisPlace(
  context: BackupContext,
): Promise<{ readonly container: string; readonly folder: string }> {
  const { engine, settings } = context;
  const containers = await engine.containers({ [LABELS.project]: settings.project });
  const state = containers.find(({ name }) => name === settings.redis?.container);
  if (state !== undefined && state.status !== 'running') {
    return { container: state.name, folder: '/data' };
  }
  const server = await liveRedis(context);
  return { container: server.container, folder: await redisSetting(server, 'dir') };
}

/** One restore at a time. */
export async function locked<T>(
  { host, paths }: BackupContext,
  work: () => Promise<T>,
): Promise<T> {
  return await exclusively(host, posix.join(paths.agent, 'locks'), 'restore', work);
}

export function onlyObject(manifest: BackupManifest, role: BackupObject['role']): BackupObject {
  const object = manifest.objects.find((one) => one.role === role);
  if (object === undefined) throw new Error(`the manifest of ${manifest.id} has no ${role}`);
  return object;
}

function question(
  context: BackupContext,
  manifest: BackupManifest,
  containers: readonly string[],
): string {
  const stops =
    containers.length === 0 ? '' : ` ${containers.join(', ')} will be stopped for a moment.`;
  return `Everything written ${lastWrites(context, manifest)} will be put aside.${stops} Go on?`;
}

/** `since 2026-11-21T02:00:00.000Z, 3 h ago,`: what a restore takes away. */
export function lastWrites({ now }: Pick<BackupContext, 'now'>, manifest: BackupManifest): string {
  const begun = backupIdTime(manifest.id) ?? new Date(manifest.startedAt);
  const age = formatSpan((now().getTime() - begun.getTime()) / 1000);
  return `since ${begun.toISOString()}, ${age} ago,`;
}
