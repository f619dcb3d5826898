import { setTimeout as wait } from 'node:timers/promises';
import { AppError } from '../../errors.ts';
import { WITHOUT_LOG } from '../../model/container-log.ts';
import type { BackupContext } from '../context.ts';
import { labelArguments, removeHelpers } from '../helper-container.ts';
import type { PostgresServer } from '../psql.ts';

const READY_SECONDS = 120;
const POLL_MILLISECONDS = 200;

/** Never seen by a client and thrown away: nothing needs to survive a power cut. */
const SETTINGS = [
  'fsync=off',
  'full_page_writes=off',
  'synchronous_commit=off',
  'autovacuum=off',
  'shared_buffers=64MB',
  'max_wal_size=2GB',
  'max_connections=30',
  'listen_addresses=127.0.0.1',
];

export interface ThrowawayLimits {
  readonly cpus: number;
  /** Bytes. */
  readonly memory: number;
}

/**
 * A Postgres of the same image without a network, for `use` alone; it and its volume are gone afterwards,
 * also what a killed run left.
 */
export async function withThrowawayPostgres<T>(
  context: BackupContext,
  task: string,
  limits: ThrowawayLimits,
  use: (server: PostgresServer) => Promise<T>,
): Promise<T> {
  const { host, engine, settings } = context;
  const { postgres } = settings;
  if (postgres === undefined) {
    throw new AppError({
      code: 'backup/not-applied',
      what: 'the stack has no Postgres',
      hint: 'holdfast apply',
    });
  }
  await removeHelpers(host, engine, settings.project, task);
  const { stdout } = await host.run({
    argv: [
      'docker',
      'run',
      '--detach',
      '--init',
      ...labelArguments({ project: settings.project, task }),
      ...['--network', 'none'],
      ...['--cpus', String(limits.cpus)],
      ...['--memory', String(limits.memory)],
      ...['--pids-limit', '256'],
      ...['--shm-size', '256m'],
      ...['--security-opt', 'no-new-privileges'],
      // Data of the user: the log of a throw-away server is nobody's business.
      ...WITHOUT_LOG,
      ...['--env', `POSTGRES_USER=${postgres.superuser}`],
      // Without a network only the socket is left, which needs no password.
      ...['--env', 'POSTGRES_HOST_AUTH_METHOD=trust'],
      postgres.image,
      'postgres',
      ...SETTINGS.flatMap((setting) => ['-c', setting]),
    ],
  });
  const container = stdout.trim();
  try {
    const server = {
      engine,
      container,
      superuser: postgres.superuser,
      applicationName: 'holdfast-restore-test',
    };
    await ready(server);
    return await use(server);
  } finally {
    await removeHelpers(host, engine, settings.project, task);
  }
}

/** Over TCP: while the image makes the cluster, a server answers on the socket only. */
async function ready({ engine, container }: PostgresServer): Promise<void> {
  const deadline = performance.now() + READY_SECONDS * 1000;
  for (;;) {
    const { exitCode, stdout } = await engine.exec(container, {
      argv: ['pg_isready', '--host=127.0.0.1', '--timeout=3'],
    });
    if (exitCode === 0) return;
    if (performance.now() > deadline) {
      throw new AppError({
        code: 'restore/throwaway',
        what: 'the throw-away Postgres for the restore test did not start',
        why: stdout.trim(),
        hint: 'look at free memory and disk: `holdfast doctor`',
      });
    }
    await wait(POLL_MILLISECONDS);
  }
}
