import { AppError } from '../errors.ts';
import type { Host } from '../host/host.ts';
import type { Paths } from '../model/paths.ts';
import type { LockOwner } from './lock.ts';

function describe({ who, pid, since, command }: LockOwner): string {
  return `${who} (process ${pid}) runs \`${command}\` since ${since}`;
}

export function lockHeld(holder: LockOwner, host: Host): AppError {
  return new AppError({
    code: 'lock/held',
    what: `somebody else is changing ${host.name}`,
    why: describe(holder),
    hint: 'run the same command again when that one has ended (apply, deploy, rollback and scale wait for it with `--wait 600`); if you are certain that it is gone: holdfast unlock --force',
    details: holder,
  });
}

export function lockLost(holder: LockOwner | undefined, host: Host): AppError {
  return new AppError({
    code: 'lock/lost',
    what: `the lock of ${host.name} was taken away from this run`,
    why: holder === undefined ? 'somebody removed it' : describe(holder),
    hint: 'nothing was changed since; run `holdfast plan` when the other one has finished',
  });
}

export function lockUnusable(paths: Paths): AppError {
  return new AppError({
    code: 'lock/unusable',
    what: `the lock ${paths.applyLock} can neither be taken nor names it a holder`,
    why: 'something else than a file of holdfast may stand there',
    hint: `look at it (\`ls -la ${paths.applyLock}\`), then: holdfast unlock --force`,
  });
}

export function planStale(host: Host): AppError {
  return new AppError({
    code: 'drift/plan-stale',
    what: `${host.name} changed after this plan was made`,
    why: 'nothing was changed by this run',
    hint: 'run the same command again: it plans with what is there now',
  });
}
