import { forceUnlock, lockOwner } from '../apply/lock.ts';
import type { ParsedArguments } from './command.ts';
import type { CliContext } from './context.ts';

/** `holdfast unlock`: who holds the lock; with `--force` it is taken away. */
export async function unlock(args: ParsedArguments, context: CliContext): Promise<number> {
  const { host } = await context.open(args.value('host'));
  const owner = args.flag('force')
    ? await forceUnlock(host, context.paths)
    : await lockOwner(host, context.paths);
  if (owner === undefined) {
    context.io.out('Nobody holds the lock.\n');
    return 0;
  }
  const text = `${owner.who}, ${owner.command}, process ${owner.pid}, since ${owner.since}`;
  context.io.out(args.flag('force') ? `Taken from ${text}.\n` : `Held by ${text}.\n`);
  return 0;
}
