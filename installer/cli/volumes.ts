import { thisProcess } from '../apply/process-identity.ts';
import { isUnused, listVolumes, pruneVolumes } from '../apply/volumes.ts';
import { env } from '../env.ts';
import type { ParsedArguments } from './command.ts';
import { consent, refused } from './consent.ts';
import type { CliContext } from './context.ts';
import { leftoverContext } from './server-context.ts';

export async function volumesList(args: ParsedArguments, context: CliContext): Promise<number> {
  const server = await context.open();
  const volumes = await listVolumes(await leftoverContext(context, server));
  if (args.flag('json')) {
    context.io.out(`${JSON.stringify({ version: 1, volumes })}\n`);
    return 0;
  }
  const width = Math.max(0, ...volumes.map(({ name }) => name.length));
  for (const volume of volumes) {
    const use =
      volume.usedBy.length > 0
        ? volume.usedBy.join(', ')
        : isUnused(volume)
          ? 'unused'
          : 'wanted, not mounted now';
    context.io.out(`${volume.name.padEnd(width)}  ${use}\n`);
  }
  return 0;
}

/** Removes volumes that no service uses: the one way in which holdfast destroys data of a live server. */
export async function volumesPrune(args: ParsedArguments, context: CliContext): Promise<number> {
  const server = await context.open();
  const removed = await pruneVolumes(await leftoverContext(context, server), {
    process: await thisProcess(env.sudoUser ?? env.user ?? 'unknown'),
    waitSeconds: 0,
    confirm: async (unused) => {
      context.io.out(
        `These volumes and their data go for ever:\n${unused.map(({ name }) => `  ${name}\n`).join('')}`,
      );
      if (await consent(args, context, { text: 'Remove them? [y/N] ' })) return true;
      throw refused(args);
    },
  });
  context.io.out(
    removed.length === 0 ? 'No volume was removed.\n' : `Removed ${removed.join(', ')}.\n`,
  );
  return 0;
}
