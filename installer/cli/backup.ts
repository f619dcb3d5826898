import { backupIdTime } from '../backup/backup-id.ts';
import type { BackupContext } from '../backup/context.ts';
import { listStored } from '../backup/inventory.ts';
import type { PostgresServer } from '../backup/psql.ts';
import { restoreTestIdentityFile } from '../backup/recovery-keys.ts';
import { runRestoreTest } from '../backup/restore/restore-test.ts';
import { type BackupOutcome, runBackup } from '../backup/run-backup.ts';
import { findJob } from '../backup/settings.ts';
import { livePostgres } from '../backup/sources/open-source.ts';
import { verifyBackup } from '../backup/verify.ts';
import { AppError } from '../errors.ts';
import type { BackupJob } from '../model/backup-settings.ts';
import { formatBytes, formatSpan } from '../model/format-bytes.ts';
import { backupContext } from './backup-context.ts';
import type { ParsedArguments } from './command.ts';
import type { CliContext } from './context.ts';

/** One line of `backup list --json`. Fields are added within a version, never changed. */
interface ListedBackup {
  readonly id: string;
  readonly job: string;
  readonly store: string;
  /** UTC. */
  readonly at: string;
  readonly bytes: number;
  readonly state: 'verified' | 'unverified' | 'incomplete';
}

/** `holdfast backup run [JOB…]`: those jobs, or all; each is tried also when one before it failed. */
export async function backupRun(args: ParsedArguments, context: CliContext): Promise<number> {
  const backup = await backupContext(context);
  const names =
    args.positionals.length > 0 ? args.positionals : backup.settings.jobs.map(({ name }) => name);
  for (const name of names) findJob(backup.settings, name);
  const made: (BackupOutcome & { readonly job: string })[] = [];
  const failures: unknown[] = [];
  for (const job of names) {
    try {
      const outcome = await runBackup(backup, job);
      made.push({ job, ...outcome });
      if (!args.flag('json')) context.io.out(outcomeText(job, outcome));
    } catch (error) {
      failures.push(error);
      if (names.length > 1 && error instanceof AppError) {
        context.report({ kind: 'warning', code: error.code, text: `${job}: ${error.message}` });
      }
    }
  }
  if (failures.length > 0) throw failures[0];
  if (args.flag('json')) context.io.out(`${JSON.stringify({ version: 1, made })}\n`);
  return 0;
}

function outcomeText(job: string, { id, bytes, seconds, verifiedAt }: BackupOutcome): string {
  const proof = verifiedAt === undefined ? 'not read back' : 'read back and compared';
  return `${job}: ${id}, ${formatBytes(bytes)} in ${formatSpan(seconds)}, ${proof}\n`;
}

/** `holdfast backup list`: newest first, of every job. */
export async function backupList(args: ParsedArguments, context: CliContext): Promise<number> {
  const backup = await backupContext(context);
  const backups: ListedBackup[] = [];
  for (const job of backup.settings.jobs) backups.push(...(await listJob(backup, job)));
  backups.sort((a, b) => (a.id < b.id ? 1 : -1));
  if (args.flag('json')) {
    context.io.out(`${JSON.stringify({ version: 1, backups })}\n`);
    return 0;
  }
  context.io.out(listText(backups, context.now()));
  return 0;
}

async function listJob(backup: BackupContext, job: BackupJob): Promise<ListedBackup[]> {
  const store = await backup.openStore(job.store);
  try {
    const stored = await listStored(store, backup.settings, job.name);
    return stored.map(({ id, size, complete, verified }) => ({
      id,
      job: job.name,
      store: job.store,
      at: backupIdTime(id)?.toISOString() ?? '',
      bytes: size,
      state: verified ? 'verified' : complete ? 'unverified' : 'incomplete',
    }));
  } finally {
    store.close();
  }
}

function listText(backups: readonly ListedBackup[], now: Date): string {
  if (backups.length === 0) return 'There is no backup yet. Make one: holdfast backup run\n';
  const rows = backups.map(({ id, job, store, at, bytes, state }) => [
    id,
    job,
    `${formatSpan((now.getTime() - Date.parse(at)) / 1000)} ago`,
    formatBytes(bytes),
    store,
    state,
  ]);
  const titles = ['ID', 'JOB', 'MADE', 'SIZE', 'STORE', 'STATE'];
  const widths = titles.map((title, column) =>
    Math.max(title.length, ...rows.map((row) => row[column]?.length ?? 0)),
  );
  return [titles, ...rows]
    .map((row) =>
      row
        .map((cell, column) => cell.padEnd(widths[column] ?? 0))
        .join('  ')
        .trimEnd(),
    )
    .map((line) => `${line}\n`)
    .join('');
}

/** `holdfast backup verify [ID]`: reads one back byte for byte; without an id the newest of each job. */
export async function backupVerify(args: ParsedArguments, context: CliContext): Promise<number> {
  const backup = await backupContext(context);
  const [id] = args.positionals;
  const checked: {
    readonly job: string;
    readonly id: string;
    readonly checks: readonly string[];
  }[] = [];
  for (const job of backup.settings.jobs) {
    const store = await backup.openStore(job.store);
    try {
      const stored = await listStored(store, backup.settings, job.name);
      const chosen = stored.find((one) => (id === undefined ? one.complete : one.id === id));
      if (chosen === undefined) continue;
      const { checks } = await verifyBackup({
        context: backup,
        store,
        job: job.name,
        id: chosen.id,
        identityFile: await identityOnServer(backup),
        server: job.source.kind === 'postgres' ? await postgresIfUp(backup) : undefined,
      });
      checked.push({ job: job.name, id: chosen.id, checks });
    } finally {
      store.close();
    }
  }
  if (checked.length === 0) throw nothingToVerify(id);
  if (args.flag('json')) context.io.out(`${JSON.stringify({ version: 1, checked })}\n`);
  else {
    for (const one of checked) {
      context.io.out(`${one.job}: ${one.id} is whole (${one.checks.join(', ')})\n`);
    }
  }
  return 0;
}

/** Without the key the stored bytes are compared all the same. */
async function identityOnServer({ host, paths }: BackupContext): Promise<string | undefined> {
  const file = restoreTestIdentityFile(paths);
  return (await host.stat(file)) === undefined ? undefined : file;
}

async function postgresIfUp(backup: BackupContext): Promise<PostgresServer | undefined> {
  try {
    return await livePostgres(backup, 'holdfast-verify');
  } catch (error) {
    if (!(error instanceof AppError) || error.code !== 'backup/postgres-down') throw error;
    backup.report({
      kind: 'warning',
      code: error.code,
      text: `${error.message}; the archives are not listed`,
    });
    return undefined;
  }
}

function nothingToVerify(id: string | undefined): AppError {
  return new AppError({
    code: 'backup/missing',
    what: id === undefined ? 'there is no backup yet' : `there is no backup ${id}`,
    hint: id === undefined ? 'holdfast backup run' : 'holdfast backup list',
  });
}

/** `holdfast backup restore-test`: the newest backup of Postgres, restored into a throw-away server. */
export async function backupRestoreTest(
  args: ParsedArguments,
  context: CliContext,
): Promise<number> {
  const outcome = await runRestoreTest(await backupContext(context));
  if (args.flag('json')) context.io.out(`${JSON.stringify({ version: 1, ...outcome })}\n`);
  else {
    context.io.out(
      `${outcome.backupId}: ${outcome.databases} database(s), ${outcome.tables} tables and ${outcome.rows} rows ` +
        `restored and checked in ${formatSpan(outcome.seconds)}\n`,
    );
  }
  return 0;
}
