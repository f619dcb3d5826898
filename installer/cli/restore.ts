import { resolve } from 'node:path';
import { SYSTEM_CLOCK } from '../apply/context.ts';
import { withLock } from '../apply/lock.ts';
import { thisProcess } from '../apply/process-identity.ts';
import type { BackupContext } from '../backup/context.ts';
import { restoreTestIdentityFile } from '../backup/recovery-keys.ts';
import { withBackup } from '../backup/restore/choose-backup.ts';
import {
  type FilesWish,
  type RestoredFiles,
  restoreRedis,
  restoreVolume,
} from '../backup/restore/restore-files.ts';
import { type RestoredDatabase, restorePostgres } from '../backup/restore/restore-postgres.ts';
import { env } from '../env.ts';
import { AppError } from '../errors.ts';
import { backupContext } from './backup-context.ts';
import type { ParsedArguments } from './command.ts';
import { consent } from './consent.ts';
import type { CliContext } from './context.ts';
import { restorePointInTime, targetOf } from './restore-cluster.ts';

/** The answer of `restore --json`. Fields are added within a version, never changed. */
interface RestoreReport {
  readonly version: 1;
  readonly id: string;
  readonly databases: readonly RestoredDatabase[];
  readonly files: readonly RestoredFiles[];
}

/** `holdfast restore [ID]`: the newest verified backup of Postgres when no id is given. */
export async function restore(args: ParsedArguments, context: CliContext): Promise<number> {
  const backup = await backupContext(context);
  const [id] = args.positionals;
  const job = args.value('job');
  const into = args.value('into');
  const database = args.value('database');
  const from = args.value('from');
  const identity = args.value('identity');
  const target = targetOf(args, backup.settings.timezone);
  if (into === undefined && !args.flag('yes') && !args.flag('dry-run')) {
    refuseWithoutTerminal(context, id);
  }
  if (target !== undefined) {
    return await restorePointInTime(args, context, backup, target, asker(args, context, '…'));
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
      const ask = asker(args, context, manifest.id);
      const files: FilesWish = { consent: ask, holdServer: holder(backup) };
      const base = { version: 1, id: manifest.id, databases: [], files: [] } as const;
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
      }
    },
  );
  context.io.out(
    args.flag('json')
      ? `${JSON.stringify(report)}\n`
      : reportText(report, backup.settings.postgres?.container ?? 'postgres'),
  );
  return 0;
}

/** Seconds that a swap waits for an apply which is at work. */
const WAIT_FOR_APPLY = 600;

function holder({ host, paths }: BackupContext): FilesWish['holdServer'] {
  return async (work) => {
    const process = await thisProcess(env.sudoUser ?? env.user ?? 'unknown');
    const request = { process, command: 'holdfast restore', clock: SYSTEM_CLOCK };
    return await withLock(host, paths, { ...request, waitSeconds: WAIT_FOR_APPLY }, work);
  };
}

function asker(
  args: ParsedArguments,
  context: CliContext,
  id: string,
): (question: string) => Promise<void> {
  return async (question) => {
    if (args.flag('yes')) return;
    const agreed = await consent(context, {
      text: `${question} [y/N] `,
      withConsent: `holdfast restore ${id} --yes`,
    });
    if (agreed) return;
    throw new AppError({
      code: 'consent/refused',
      what: 'nothing was replaced',
      hint: `holdfast restore ${id}`,
    });
  };
}

/** Before the work rather than after it. */
function refuseWithoutTerminal({ io }: CliContext, id: string | undefined): void {
  if (io.stdin.isTTY === true) return;
  throw new AppError({
    code: 'consent/no-terminal',
    what: 'a restore replaces live data, which needs a yes, and there is no terminal to ask on',
    why: 'nothing was changed',
    hint: `holdfast restore ${id === undefined ? '' : `${id} `}--yes`,
  });
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
    what: '--into names a database, and this backup holds files',
    hint: 'leave --into out: the files that are there are kept beside',
  });
}

function reportText({ id, databases, files }: RestoreReport, container: string): string {
  const lines = [
    ...databases.flatMap(({ name, kept, tables, rows }) => [
      `${name}: ${tables} tables and ${rows} rows restored from ${id} and checked`,
      ...(kept === undefined
        ? []
        : [
            `  what was there is kept as ${kept}; when you are sure:`,
            `  docker exec --user postgres ${container} dropdb '${kept.replaceAll("'", "'\\''")}'`,
          ]),
    ]),
    ...files.flatMap(({ volume, kept }) => [
      `${volume}: restored from ${id}`,
      `  what was there is kept; when you are sure:`,
      `  rm -rf '${kept}'`,
    ]),
  ];
  return `${lines.join('\n')}\n`;
}
