import { resolve } from 'node:path';
import { namesPlace } from '../backup/recovery/place.ts';
import { restoreTestIdentityFile } from '../backup/recovery-keys.ts';
import { withBackup } from '../backup/restore/choose-backup.ts';
import { type RestoredAccessory, restoreAccessory } from '../backup/restore/restore-accessory.ts';
import {
  type FilesWish,
  type RestoredFiles,
  restoreRedis,
  restoreVolume,
} from '../backup/restore/restore-files.ts';
import { type RestoredDatabase, restorePostgres } from '../backup/restore/restore-postgres.ts';
import { AppError } from '../errors.ts';
import { backupContext } from './backup-context.ts';
import type { ParsedArguments } from './command.ts';
import { requireTerminal } from './consent.ts';
import type { CliContext } from './context.ts';
import { restorePointInTime, targetOf } from './restore-cluster.ts';
import { asker, holder } from './restore-consent.ts';
import { restoredLines } from './restore-text.ts';

/** The answer of `restore --json`. Fields are added within a version, never changed. */
interface RestoreReport {
  readonly version: 1;
  readonly id: string;
  readonly databases: readonly RestoredDatabase[];
  readonly files: readonly RestoredFiles[];
  readonly accessories: readonly RestoredAccessory[];
}

/** `holdfast restore [ID]`: the newest verified backup of Postgres when no id is given. */
export async function restore(args: ParsedArguments, context: CliContext): Promise<number> {
  const place = args.value('from');
  if (place !== undefined && namesPlace(place)) {
    const { restoreServer } = await import('./restore-server.ts');
    return await restoreServer(args, context, place);
  }
  const backup = await backupContext(context);
  const [id] = args.positionals;
  const job = args.value('job');
  const into = args.value('into');
  const database = args.value('database');
  const from = args.value('from');
  const identity = args.value('identity');
  const target = targetOf(args, backup.settings.timezone);
  if (into === undefined && !args.flag('yes') && !args.flag('dry-run')) {
    // Before the work rather than after it.
    requireTerminal(
      args,
      context,
      'a restore replaces live data, which needs a yes, and there is no terminal to ask on',
    );
  }
  if (target !== undefined) {
    return await restorePointInTime(args, context, backup, target, asker(args, context));
  }
  const report = await withBackup(
    backup,
    {
      ...(id === undefined ? {} : { id }),
      ...(job === undefined ? {} : { job }),
      ...(from === undefined ? {} : { from }),
      kind: 'postgres',
      identityFile:
        identity === undefined ? restoreTestIdentityFile(backup.paths) : resolve(identity),
    },
    async (chosen): Promise<RestoreReport> => {
      const { manifest } = chosen;
      if (manifest.method === 'physical') throw isBase(manifest.id);
      const ask = asker(args, context);
      const files: FilesWish = { consent: ask, holdServer: holder(backup) };
      const base = {
        version: 1,
        id: manifest.id,
        databases: [],
        files: [],
        accessories: [],
      } as const;
      switch (manifest.source.kind) {
        case 'postgres':
          return {
            ...base,
            databases: await restorePostgres(backup, chosen, {
              ...(into === undefined ? {} : { into }),
              ...(database === undefined ? {} : { database }),
              consent: ask,
            }),
          };
        case 'volume':
          refuseInto(into);
          return { ...base, files: [await restoreVolume(backup, chosen, files)] };
        case 'appliance':
          throw isKit(manifest.id);
        case 'redis':
          refuseInto(into);
          return { ...base, files: [await restoreRedis(backup, chosen, files)] };
        case 'accessory': {
          refuseInto(into);
          const wish = { ...files, keepsBefore: true };
          return { ...base, accessories: [await restoreAccessory(backup, chosen, wish)] };
        }
      }
    },
  );
  context.io.out(
    args.flag('json')
      ? `${JSON.stringify(report)}\n`
      : `${restoredLines(report, backup.settings.postgres?.container ?? 'postgres').join('\n')}\n`,
  );
  return 0;
}

function isBase(id: string): AppError {
  return new AppError({
    code: 'usage/base-backup',
    what: `${id} is a base backup: it is restored by naming a point in time`,
    why: 'its files are those of the whole cluster, which WAL rolls forward',
    hint: 'holdfast restore --latest, or --to "2026-11-20 14:03:00 Europe/Paris"',
  });
}

function isKit(id: string): AppError {
  return new AppError({
    code: 'usage/recovery-kit',
    what: `${id} is a recovery kit: a blank server is set up from it, not a running one`,
    why: 'its config, secrets and certificates would replace those that are in force',
    hint: 'on the new server: holdfast restore --from s3://BUCKET/PREFIX --identity FILE',
  });
}

function refuseInto(into: string | undefined): void {
  if (into === undefined) return;
  throw new AppError({
    code: 'usage/into-database-only',
    what: '--into names a database of Postgres, and this backup holds none',
    hint: 'leave --into out: what is there is kept',
  });
}
