import { isAtRest } from '../engine/container-state.ts';
import type { ContainerState } from '../engine/engine.ts';
import { AppError } from '../errors.ts';
import { CommandError } from '../host/command-error.ts';
import type { Host } from '../host/host.ts';
import { LABELS } from '../model/labels.ts';
import type { Paths } from '../model/paths.ts';
import type { ApplyContext } from './context.ts';
import { stopAndRemove } from './stop-containers.ts';

/** As long as the longest change through compose may take. */
const PATIENCE_SECONDS = 900;
const POLL_SECONDS = 0.5;

/**
 * A run that was killed, or whose connection was lost, leaves its docker program at work: it runs in a
 * process group of its own. Where that is gone too, a migration still runs in its container. Whoever holds the lock
 * next waits until both have ended.
 * @throws AppError `lock/orphan`
 */
export async function waitForOrphans(context: ApplyContext): Promise<void> {
  await waitForPrograms(context);
  await waitForMigrations(context);
}

async function waitForPrograms({ host, paths, clock }: ApplyContext): Promise<void> {
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

/** Two migrations of one service at once would work on the same tables. */
async function waitForMigrations(context: ApplyContext): Promise<void> {
  const { clock, report } = context;
  const deadline = clock.elapsed() + PATIENCE_SECONDS * 1000;
  for (let looks = 0; ; looks += 1) {
    const all = await migrationContainers(context);
    const [running] = all.filter((container) => !isAtRest(container));
    if (running === undefined) {
      // Compose, which removes them, was killed.
      await stopAndRemove(
        context,
        all.map(({ id }) => id),
      );
      return;
    }
    const what = `a migration of ${running.labels[LABELS.migration]} that a killed run left behind is still at work`;
    if (clock.elapsed() >= deadline) {
      throw new AppError({
        code: 'lock/orphan',
        what: `${what} on ${context.host.name}`,
        why: `container ${running.name}`,
        hint: `wait for its end or end it (\`docker stop ${running.name}\`), then run the same command again`,
      });
    }
    if (looks === 0) {
      const text = `${what} in ${running.name}: its end is waited for, ${PATIENCE_SECONDS / 60} min at most`;
      report({ kind: 'warning', code: 'lock/orphan', text });
    }
    await clock.pause(POLL_SECONDS);
  }
}

async function migrationContainers({ engine, project }: ApplyContext): Promise<ContainerState[]> {
  const all = await engine.containers({ [LABELS.project]: project });
  return all.filter(({ labels }) => labels[LABELS.migration] !== undefined);
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
