import { posix } from 'node:path';
import { AppError } from '../../errors.ts';
import type { PostgresUpgrade, Rehearsal } from '../../model/postgres-upgrade.ts';
import { engineName } from '../../model/stack.ts';
import { helperArgv, removeHelpers, VOLUME_MOUNT } from '../helper-container.ts';
import type { PostgresServer } from '../psql.ts';
import { holdWal } from '../sources/physical.ts';
import { fillNewCluster } from './fill-cluster.ts';
import { obstaclesOf } from './obstacles.ts';
import { markServers, removeServers, socketFolder, type UpgradeContext } from './upgrade-server.ts';

const TASK = 'postgres-rehearsal';
const COPY_SECONDS = 24 * 3600;

// `$1` is the container of the server; what follows is a helper that lays the files down.
const COPY = `set -o pipefail
live=$1; shift
docker exec --user postgres --env PGAPPNAME=holdfast-rehearsal "$live" \
  pg_basebackup --pgdata=- --format=tar --wal-method=fetch --checkpoint=fast --no-manifest --no-sync |
  "$@"`;
const LAY_DOWN = `set -eu
cd "$1"
tar --extract --file=- --numeric-owner --same-owner --preserve-permissions
rm -f postmaster.pid
chown 999:999 .
chmod 0700 .`;

/**
 * Carries an upgrade out on a copy of the live files, beside the running server, and throws the result away. What
 * is found goes into the record; only that it could not be tried at all is an error.
 */
export async function rehearse(
  context: UpgradeContext,
  live: PostgresServer,
  upgrade: PostgresUpgrade,
  facts: { readonly bytes: number; readonly now: () => Date },
): Promise<Rehearsal> {
  const obstacles = await obstaclesOf(live);
  const tried =
    obstacles.length > 0
      ? { seconds: 0, problems: obstacles }
      : await attempt(context, live, upgrade);
  const rehearsal: Rehearsal = {
    version: 1,
    at: facts.now().toISOString(),
    from: upgrade.from.major,
    to: upgrade.to.major,
    image: upgrade.to.image.reference,
    bytes: facts.bytes,
    ...tried,
  };
  await context.host.write(rehearsalFile(context), `${JSON.stringify(rehearsal)}\n`, {
    mode: 0o600,
    uid: 0,
    gid: 0,
  });
  return rehearsal;
}

/** The last one, of whatever versions. */
export async function lastRehearsal(
  context: Pick<UpgradeContext, 'host' | 'paths'>,
): Promise<Rehearsal | undefined> {
  const content = await context.host.read(rehearsalFile(context));
  if (content === undefined) return undefined;
  return JSON.parse(Buffer.from(content).toString('utf8')) as Rehearsal;
}

async function attempt(
  context: UpgradeContext,
  live: PostgresServer,
  { from, to }: PostgresUpgrade,
): Promise<Pick<Rehearsal, 'seconds' | 'problems'>> {
  const { project, report } = context;
  const volumes = volumesFor(project);
  const progress = (text: string): void => report({ kind: 'progress', id: 'rehearse', text });
  await clear(context, Object.values(volumes));
  await markServers(context, TASK);
  try {
    progress('copying the files of the live cluster');
    await copyFiles(context, live, from.image.reference, volumes.old);
    const clock = performance.now();
    const problems = await fillNewCluster(
      context,
      {
        old: { task: TASK, image: from.image.reference, volume: volumes.old, role: 'old' },
        young: { task: TASK, image: to.image.reference, volume: volumes.young, role: 'new' },
      },
      progress,
    ).then(({ differences }) => differences, problemOf);
    return { seconds: (performance.now() - clock) / 1000, problems };
  } finally {
    await clear(context, Object.values(volumes));
  }
}

/** What the new version has against the data is what a rehearsal is for. */
function problemOf(error: unknown): string[] {
  if (error instanceof AppError && error.code.startsWith('restore/upgrade')) return [error.message];
  throw error;
}

async function copyFiles(
  { host, project }: UpgradeContext,
  live: PostgresServer,
  image: string,
  volume: string,
): Promise<void> {
  const held = await holdWal(live);
  const layDown = helperArgv({
    project,
    task: TASK,
    image,
    argv: ['sh', '-c', LAY_DOWN, 'sh', VOLUME_MOUNT],
    volume: { name: volume, readOnly: false },
    capabilities: ['CHOWN', 'DAC_OVERRIDE', 'FOWNER', 'FSETID'],
  });
  try {
    await host.run({
      argv: ['bash', '-c', COPY, 'bash', live.container, ...layDown],
      timeoutSeconds: COPY_SECONDS,
    });
  } finally {
    await held.cancel();
  }
}

/** Ends a rehearsal that was killed. The caller holds the server's lock, as every rehearsal does. */
export async function clearRehearsal(context: UpgradeContext): Promise<void> {
  if ((await context.host.stat(socketFolder(context.paths, TASK))) === undefined) return;
  await clear(context, Object.values(volumesFor(context.project)));
}

function volumesFor(project: string): { readonly old: string; readonly young: string } {
  return { old: engineName(project, `${TASK}-old`), young: engineName(project, `${TASK}-new`) };
}

async function clear(context: UpgradeContext, volumes: readonly string[]): Promise<void> {
  await removeHelpers(context.host, context.engine, context.project, TASK);
  await context.host.run({ argv: ['docker', 'volume', 'rm', '--force', ...volumes] });
  // Last: it says that there is something to clear.
  await removeServers(context, TASK);
}

function rehearsalFile({ paths }: Pick<UpgradeContext, 'paths'>): string {
  return posix.join(paths.state, 'postgres-rehearsal.json');
}
