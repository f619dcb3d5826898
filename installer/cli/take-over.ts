import type { BackupContext } from '../backup/context.ts';
import { type OthersBackups, othersBackups } from '../backup/other-servers.ts';
import { readTakeOver, type TakeOver, takeOver } from '../backup/take-over.ts';
import { writerIdentity } from '../backup/writer-id.ts';
import { backupContext } from './backup-context.ts';
import type { ParsedArguments } from './command.ts';
import { consent, refused } from './consent.ts';
import type { CliContext } from './context.ts';

/**
 * `holdfast backup take-over`: the way back for a server that was replaced by mistake, and for one in the place of a
 * lost one whose backups nobody needs any more.
 */
export async function backupTakeOver(args: ParsedArguments, context: CliContext): Promise<number> {
  const backup = await backupContext(context);
  const { host, paths, settings, openStore, now } = backup;
  const us = await writerIdentity(host, paths);
  for (const { name } of settings.stores) {
    const store = await openStore(name);
    try {
      const found = await readTakeOver(store, settings);
      const isFenced = found?.fenced.includes(us.id) === true;
      const done = found?.writer.id === us.id ? found.fenced : [];
      const named = isFenced ? [] : await namedOthers(backup, name);
      const others = named.filter(({ writer }) => !done.includes(writer.id));
      if (!isFenced && others.length === 0) {
        context.io.out(`${name}: this server stores its backups there; nothing to do\n`);
        continue;
      }
      const isAgreed = await consent(args, context, {
        text: `${name}: ${isFenced ? againText(found) : othersText(others)} [y/N] `,
      });
      if (!isAgreed) throw refused(args, `${name}: nothing was changed there`);
      const from = others.map(({ writer }) => writer.id);
      await takeOver(store, settings, us, from, now());
      context.io.out(`${name}: ${isFenced ? AGAIN : EXPIRE}\n`);
    } finally {
      store.close();
    }
  }
  return 0;
}

const AGAIN = 'this server stores its backups there again';
const EXPIRE = 'the next backup of each job applies keepRemote to them too';

function againText({ writer, at }: TakeOver): string {
  return `${writer.host} took over on ${at}. Let this server store backups there again, and ${writer.host} nothing more?`;
}

function othersText(others: readonly OthersBackups[]): string {
  const hosts = [...new Set(others.map(({ writer }) => writer.host))].join(', ');
  const count = others.reduce((sum, { ids }) => sum + ids.length, 0);
  return `${count} backups of ${hosts} stay beyond keepRemote. Let them expire, and ${hosts} store nothing more there?`;
}

/** Who cannot be named cannot be told either. */
async function namedOthers(backup: BackupContext, store: string): Promise<OthersBackups[]> {
  const jobs = backup.settings.jobs.filter((job) => job.store === store);
  const all = await Promise.all(jobs.map((job) => othersBackups(backup, job)));
  return all.flat().filter(({ writer }) => writer.id !== '');
}
