import { AppError } from '../../errors.ts';
import { type PostgresServer, runSql } from '../psql.ts';

/**
 * nice(2): where the processors are busy, a tenth of the share of an ordinary process, and all that is left where
 * they are not (`sched_prio_to_weight` in the kernel: 110 against 1024).
 */
const NICENESS = '10';

/** Linux knows a priority of each thread, and new ones have that of the one which starts them. */
const RENICE = 'renice -n "$1" -p "$2" && renice -n "$1" -p $(ls "/proc/$2/task")';

/** Before the argv of a program of the container, which its sessions do not wait for. */
export const BEHIND_OTHERS = ['nice', '-n', NICENESS] as const;

/**
 * Puts the server's process that sends a base backup behind those that answer the product. It reads, compresses and
 * sends, and holds no lock that they wait for.
 * @throws AppError `backup/priority`; classes `backup`
 */
export async function putSenderBehindOthers(server: PostgresServer): Promise<void> {
  const [pid] = await runSql(
    server,
    'postgres',
    `SELECT pid FROM pg_stat_activity
     WHERE backend_type = 'walsender' AND application_name = '${server.applicationName}';`,
  );
  // It was done already.
  if (pid === undefined) return;
  const { exitCode, stderr } = await server.engine.exec(server.container, {
    argv: ['sh', '-c', RENICE, 'sh', NICENESS, pid],
    user: 'postgres',
  });
  if (exitCode === 0 || /no such process/i.test(stderr)) return;
  throw new AppError({
    code: 'backup/priority',
    what: 'the base backup takes as much of the processors as the product',
    why: stderr.trim(),
    hint: 'a `postgres.pitr.maxRate` that leaves the product enough; holdfast apply',
  });
}
