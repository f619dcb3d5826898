import { AppError } from '../errors.ts';
import { CommandError } from '../host/command-error.ts';
import type { Host } from '../host/host.ts';
import type { Paths } from '../model/paths.ts';
import type { Clock } from './context.ts';

/** As long as the longest change through compose may take. */
const PATIENCE_SECONDS = 900;
const POLL_SECONDS = 0.5;

/**
 * A run that was killed, or whose connection was lost, leaves its docker program at work: it runs in a
 * process group of its own. Whoever holds the lock next waits until that one has ended.
 * @throws AppError `lock/orphan`
 */
export async function waitForOrphans(host: Host, paths: Paths, clock: Clock): Promise<void> {
  const deadline = clock.elapsed() + PATIENCE_SECONDS * 1000;
  for (;;) {
    const orphans = await findOrphans(host, paths);
    if (orphans === '') return;
    if (clock.elapsed() >= deadline) {
      throw new AppError({
        code: 'lock/orphan',
        what: `a docker command that a killed run left behind is still at work on ${host.name}`,
        why: `process ${orphans}`,
        hint: 'wait for its end or end it (`kill` with that number), then run the same command again',
      });
    }
    await clock.pause(POLL_SECONDS);
  }
}

async function findOrphans(host: Host, paths: Paths): Promise<string> {
  // The brackets keep a shell that SSH puts around this from finding itself.
  const stack = paths.stack.replaceAll(/[.+*?^$(){}|[\]\\]/g, '\\$&');
  // The second: a server of an upgrade of Postgres on its way, which must not find the stack's on the same files.
  const pattern = `--project-directory[ ]${stack} .* (up|run|restart|stop|rm) |^docker run .*source=${stack}/postgres,`;
  try {
    const { stdout } = await host.run({
      argv: ['pgrep', '--full', '--', pattern],
      okExitCodes: [0, 1],
    });
    return stdout.trim().split('\n').join(', ');
  } catch (error) {
    // Without procps nobody can tell; compose itself then refuses what collides.
    if (error instanceof CommandError && error.reason === 'spawn') return '';
    throw error;
  }
}
