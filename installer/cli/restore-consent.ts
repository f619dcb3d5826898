import { SYSTEM_CLOCK } from '../apply/context.ts';
import { withLock } from '../apply/lock.ts';
import { thisProcess } from '../apply/process-identity.ts';
import type { BackupContext } from '../backup/context.ts';
import type { FilesWish } from '../backup/restore/restore-files.ts';
import { env } from '../env.ts';
import type { ParsedArguments } from './command.ts';
import { consent, refused } from './consent.ts';
import type { CliContext } from './context.ts';

/** Seconds that a swap waits for an apply which is at work. */
const WAIT_FOR_APPLY = 600;

/** Holds the server against an apply while files are swapped. */
export function holder({ host, paths }: BackupContext): FilesWish['holdServer'] {
  return async (work) => {
    const process = await thisProcess(env.sudoUser ?? env.user ?? 'unknown');
    const request = { process, command: 'holdfast restore', clock: SYSTEM_CLOCK };
    return await withLock(host, paths, { ...request, waitSeconds: WAIT_FOR_APPLY }, work);
  };
}

/** Asks unless `--yes` was given. */
export function asker(
  args: ParsedArguments,
  context: CliContext,
): (question: string) => Promise<void> {
  return async (question) => {
    if (await consent(args, context, { text: `${question} [y/N] ` })) return;
    throw refused(args, 'nothing was replaced');
  };
}
