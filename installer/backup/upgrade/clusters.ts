import { AppError } from '../../errors.ts';
import type { PostgresUpgrade, UpgradeJournal } from '../../model/postgres-upgrade.ts';
import { engineName } from '../../model/stack.ts';
import { makeClusterVolume } from '../restore/cluster-volume.ts';
import { type FilledCluster, fillNewCluster } from './fill-cluster.ts';
import { rowsWritten } from './rows-written.ts';
import {
  removeServers,
  type ServerRequest,
  startServer,
  stopServer,
  type UpgradeContext,
} from './upgrade-server.ts';

const TASK = 'postgres-upgrade';
const SHOWN = 8;

/**
 * Fills the new volume from the old one, whose server is stopped.
 * @throws AppError `restore/upgrade-differs` among those of the copy
 */
export async function copyToNewCluster(
  context: UpgradeContext,
  { from, to }: PostgresUpgrade,
): Promise<FilledCluster> {
  const request = (
    { image, volume }: PostgresUpgrade['from'],
    role: ServerRequest['role'],
  ): ServerRequest => ({
    task: TASK,
    image: image.reference,
    volume: engineName(context.project, volume),
    role,
  });
  await removeServers(context, TASK);
  await makeClusterVolume(context, to.volume);
  const filled = await fillNewCluster(
    context,
    { old: request(from, 'old'), young: request(to, 'new') },
    (text) => context.report({ kind: 'progress', id: 'upgrade-postgres', text }),
  );
  await removeServers(context, TASK);
  if (filled.differences.length > 0) throw differs(filled.differences);
  return filled;
}

/** Ends what a killed upgrade left running. */
export async function endUpgrade(context: UpgradeContext): Promise<void> {
  await removeServers(context, TASK);
}

/**
 * Whether anybody wrote to the new cluster since it was complete. Its server in the stack is stopped.
 * @returns rows; undefined when it cannot be told
 */
export async function writtenSince(
  context: UpgradeContext,
  { to, rowsWritten: before }: UpgradeJournal,
): Promise<number | undefined> {
  const volume = engineName(context.project, to.volume);
  try {
    await removeServers(context, TASK);
    const request = { task: TASK, image: to.image.reference, volume, role: 'old' } as const;
    const server = await startServer(context, request);
    const now = await rowsWritten(server);
    await stopServer(context, server);
    // A crash of the server puts its count back.
    return before === undefined || now < before ? undefined : now - before;
  } catch (error) {
    if (error instanceof AppError && error.code.startsWith('restore/')) return undefined;
    throw error;
  } finally {
    await removeServers(context, TASK);
  }
}

function differs(all: readonly string[]): AppError {
  const more = all.length > SHOWN ? [`and ${all.length - SHOWN} more`] : [];
  return new AppError({
    code: 'restore/upgrade-differs',
    what: 'the copy of the data in the new version of Postgres is not the same',
    why: [...all.slice(0, SHOWN), ...more].join('\n'),
    hint: 'correct what it names in the database, then `holdfast postgres rehearse`',
  });
}
