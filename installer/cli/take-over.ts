import { readTakeOver, takeOver } from '../backup/take-over.ts';
import { writerIdentity } from '../backup/writer-id.ts';
import { backupContext } from './backup-context.ts';
import type { ParsedArguments } from './command.ts';
import { consent, refused } from './consent.ts';
import type { CliContext } from './context.ts';

/** `holdfast backup take-over`: the way back for a server that was replaced by mistake. */
export async function backupTakeOver(args: ParsedArguments, context: CliContext): Promise<number> {
  const { host, paths, settings, openStore, now } = await backupContext(context);
  const us = await writerIdentity(host, paths);
  for (const { name } of settings.stores) {
    const store = await openStore(name);
    try {
      const found = await readTakeOver(store, settings);
      if (found?.fenced.includes(us.id) !== true) {
        context.io.out(`${name}: this server stores its backups there; nothing to do\n`);
        continue;
      }
      const isAgreed = await consent(args, context, {
        text: `${name}: ${found.writer.host} took over on ${found.at}. Let this server store backups there again, and ${found.writer.host} nothing more? [y/N] `,
      });
      if (!isAgreed) throw refused(args, `${name}: nothing was changed there`);
      await takeOver(store, settings, us, [], now());
      context.io.out(`${name}: this server stores its backups there again\n`);
    } finally {
      store.close();
    }
  }
  return 0;
}
