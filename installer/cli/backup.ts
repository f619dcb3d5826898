import { backupIdTime } from '../backup/backup-id.ts';
import type { BackupContext } from '../backup/context.ts';
import { copiesOnServer, type FoundBackup, findBackups } from '../backup/find-backups.ts';
import { type FoundCopy, findCopies } from '../backup/find-copies.ts';
import { madeBy } from '../backup/keys.ts';
import { type OthersBackups, othersBackups } from '../backup/other-servers.ts';
import type { PostgresServer } from '../backup/psql.ts';
import { restoreTestIdentityFile } from '../backup/recovery-keys.ts';
import { runRestoreTest } from '../backup/restore/restore-test.ts';
import { type BackupOutcome, runBackup } from '../backup/run-backup.ts';
import { findJob } from '../backup/settings.ts';
import { livePostgres } from '../backup/sources/open-source.ts';
import type { Store } from '../backup/store/store.ts';
import { verifyBackup } from '../backup/verify.ts';
import { readWalStatus } from '../backup/wal/wal-status.ts';
import { AppError, EXIT_CODES } from '../errors.ts';
import type { PointInTimeProof } from '../model/backup-result.ts';
import type { BackupJob } from '../model/backup-settings.ts';
import { formatBytes, formatSpan } from '../model/format-bytes.ts';
import type { WalGap } from '../model/wal-status.ts';
import { backupContext } from './backup-context.ts';
import type { ParsedArguments } from './command.ts';
import type { CliContext } from './context.ts';
import { lossText } from './proof-text.ts';

/** One line of `backup list --json`. Fields are added within a version, never changed. */
interface ListedBackup {
  readonly id: string;
  readonly job: string;
  /** Name of the store; empty when it is known from copies alone. */
  readonly store: string;
  /** Names of the stores that hold a whole copy. */
  readonly copies: readonly string[];
  /** A copy lies on this server. */
  readonly onServer: boolean;
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
  if (names.length === 0 && !args.flag('json')) {
    context.io.out(
      'There is no backup job: describe one in backups.jobs of the config, then: holdfast apply\n',
    );
  }
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
  const failures: AppError[] = [];
  for (const job of backup.settings.jobs) {
    const { listed, storeError } = await listJob(backup, job);
    backups.push(...listed);
    if (storeError !== undefined) failures.push(storeError);
  }
  backups.sort((a, b) => (a.id < b.id ? 1 : -1));
  const [failure] = failures;
  // Half a list is worth having when a store is down, but it is not what was asked for.
  if (failure !== undefined && backups.length === 0) throw failure;
  const gaps =
    backup.settings.pitr === undefined
      ? []
      : ((await readWalStatus(backup.host, backup.paths))?.gaps ?? []);
  const others = await listedOthers(backup, backups);
  context.io.out(
    args.flag('json')
      ? `${JSON.stringify({ version: 1, backups, gaps, others })}\n`
      : `${listText(backups, context.now())}${gaps.map(gapText).join('')}${others.map(othersText).join('')}`,
  );
  if (failure !== undefined) throw failure;
  return 0;
}

async function listJob(
  backup: BackupContext,
  job: BackupJob,
): Promise<{ readonly listed: ListedBackup[]; readonly storeError?: AppError }> {
  // Copies are listed with what they are copied from.
  if (job.source.kind === 'backup') return { listed: [] };
  const open: Store[] = [];
  const openStore = async (name: string): Promise<Store> => {
    const store = await backup.openStore(name);
    open.push(store);
    return store;
  };
  try {
    const { backups, storeError } = await findBackups(backup, job, await openStore(job.store));
    const copies = await findCopies(backup, job, openStore);
    const listed = [...backups, ...onlyCopied(job, backups, copies)].map(
      (found): ListedBackup => listedBackup(found, copies),
    );
    return { listed, ...(storeError === undefined ? {} : { storeError }) };
  } finally {
    for (const store of open) store.close();
  }
}

function listedBackup(
  { job, id, size, complete, verified, inStore, onServer }: FoundBackup,
  copies: readonly FoundCopy[],
): ListedBackup {
  return {
    id,
    job: job.name,
    store: inStore ? job.store : '',
    copies: copies.filter((copy) => copy.id === id && copy.complete).map(({ store }) => store),
    onServer,
    at: backupIdTime(id)?.toISOString() ?? '',
    bytes: size,
    state: verified ? 'verified' : complete ? 'unverified' : 'incomplete',
  };
}

/** Kept longer in the second place than in the first, or lost in the first. */
function onlyCopied(
  job: BackupJob,
  backups: readonly FoundBackup[],
  copies: readonly FoundCopy[],
): FoundBackup[] {
  const known = new Set(backups.map(({ id }) => id));
  const found = new Map<string, FoundBackup>();
  for (const { id, complete, verified, size } of copies) {
    if (known.has(id) || !complete || found.get(id)?.verified === true) continue;
    found.set(id, { job, id, complete, verified, size, inStore: false, onServer: false });
  }
  return [...found.values()];
}

/** Of those that are there yet. */
async function listedOthers(
  backup: BackupContext,
  listed: readonly ListedBackup[],
): Promise<OthersBackups[]> {
  const there = new Set(listed.map(({ id }) => id));
  const all = await Promise.all(backup.settings.jobs.map((job) => othersBackups(backup, job)));
  return all
    .flat()
    .map((one) => ({ ...one, ids: one.ids.filter((id) => there.has(id)) }))
    .filter(({ ids }) => ids.length > 0);
}

function othersText({ job, store, writer, ids }: OthersBackups): string {
  const id = writer.id === '' ? '' : ` (id ${writer.id.slice(0, 8)})`;
  const end =
    writer.id === ''
      ? 'docs/runbooks/restore.md says how to remove them by hand'
      : 'holdfast backup take-over lets them expire';
  return `Kept in ${store} beyond keepRemote of ${job}, made by ${writer.host}${id}: ${ids.join(', ')}; ${end}\n`;
}

/** No base backup from before it leads past it. */
function gapText({ noticedAt, after, why }: WalGap): string {
  const place = after === undefined ? '' : ` after ${after}`;
  return `Gap in the WAL${place}, noticed ${noticedAt}: ${why}\n`;
}

/** `bucket`, `bucket, second, here` or `here`. */
function placesText({ store, copies, onServer }: ListedBackup): string {
  return [...(store === '' ? [] : [store]), ...copies, ...(onServer ? ['here'] : [])].join(', ');
}

function listText(backups: readonly ListedBackup[], now: Date): string {
  if (backups.length === 0) return 'There is no backup yet. Make one: holdfast backup run\n';
  const rows = backups.map((backup) => [
    backup.id,
    backup.job,
    `${formatSpan((now.getTime() - Date.parse(backup.at)) / 1000)} ago`,
    formatBytes(backup.bytes),
    placesText(backup),
    backup.state,
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

interface CheckedBackup {
  readonly job: string;
  readonly id: string;
  readonly checks: readonly string[];
  /** State of the copy on this server; absent when there is none. */
  readonly copy?: 'whole' | 'damaged';
}

/** `holdfast backup verify [ID]`: reads one back byte for byte; without an id the newest of each job. */
export async function backupVerify(args: ParsedArguments, context: CliContext): Promise<number> {
  const backup = await backupContext(context);
  const [id] = args.positionals;
  const checked: CheckedBackup[] = [];
  for (const job of backup.settings.jobs) {
    const one = await verifyOne(backup, job, id);
    if (one !== undefined) checked.push(one);
  }
  if (checked.length === 0) throw nothingToVerify(id);
  if (args.flag('json')) context.io.out(`${JSON.stringify({ version: 1, checked })}\n`);
  else for (const one of checked) context.io.out(checkedText(one));
  return checked.some(({ copy }) => copy === 'damaged') ? EXIT_CODES.backup : 0;
}

async function verifyOne(
  backup: BackupContext,
  job: BackupJob,
  id: string | undefined,
): Promise<CheckedBackup | undefined> {
  const store = await backup.openStore(job.store);
  try {
    const { backups, storeError } = await findBackups(backup, job, store);
    const chosen = backups.find((one) => (id === undefined ? one.complete : one.id === id));
    if (chosen === undefined && storeError === undefined) return undefined;
    const check = async (place: Store): Promise<readonly string[]> => {
      const { checks } = await verifyBackup({
        context: backup,
        store: place,
        job: madeBy(job),
        id: chosen?.id ?? '',
        identityFile: await identityOnServer(backup),
        server: job.source.kind === 'postgres' ? await postgresIfUp(backup) : undefined,
      });
      return checks;
    };
    const copy =
      chosen?.onServer === true ? await checkCopy(backup, () => check(copiesOnServer(backup))) : {};
    // A copy on the same machine proves nothing about the store, so its failure stays one.
    if (storeError !== undefined) throw storeError;
    if (chosen === undefined) return undefined;
    const checks = chosen.inStore ? await check(store) : [];
    return { job: job.name, id: chosen.id, checks, ...copy };
  } finally {
    store.close();
  }
}

async function checkCopy(
  { report }: BackupContext,
  check: () => Promise<unknown>,
): Promise<Pick<CheckedBackup, 'copy'>> {
  try {
    await check();
    report({ kind: 'notice', text: 'the copy on this server is whole' });
    return { copy: 'whole' };
  } catch (error) {
    if (!(error instanceof AppError)) throw error;
    report({
      kind: 'warning',
      code: error.code,
      text: `the copy on this server: ${error.message}`,
    });
    return { copy: 'damaged' };
  }
}

function checkedText({ job, id, checks, copy }: CheckedBackup): string {
  const here = copy === undefined ? '' : `; the copy on this server is ${copy}`;
  if (checks.length === 0) return `${job}: ${id} is not in the store${here}\n`;
  return `${job}: ${id} is whole (${checks.join(', ')})${here}\n`;
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

/** `holdfast backup restore-test`: the newest dump and the newest point in time, restored into throw-away servers. */
export async function backupRestoreTest(
  args: ParsedArguments,
  context: CliContext,
): Promise<number> {
  const { dump, pointInTime } = await runRestoreTest(await backupContext(context));
  if (args.flag('json')) {
    const { base: backupId = '', ...rest } = pointInTime ?? {};
    const answer = { version: 1, ...(dump ?? { backupId, ...rest }), pointInTime };
    context.io.out(`${JSON.stringify(answer)}\n`);
    return 0;
  }
  if (dump !== undefined) context.io.out(cameBackText(dump.backupId, dump));
  if (pointInTime !== undefined) {
    context.io.out(cameBackText(`${pointInTime.base} and its WAL`, pointInTime));
    context.io.out(`${lossText(pointInTime)}; held to ${pointInTime.limits}\n`);
  }
  return 0;
}

type Counts = Pick<PointInTimeProof, 'databases' | 'tables' | 'rows' | 'seconds'>;

function cameBackText(what: string, { databases, tables, rows, seconds }: Counts): string {
  return `${what}: ${databases} database(s), ${tables} tables and ${rows} rows restored and checked in ${formatSpan(seconds)}\n`;
}
