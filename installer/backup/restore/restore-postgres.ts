import { posix } from 'node:path';
import { AppError } from '../../errors.ts';
import { formatSpan } from '../../model/format-bytes.ts';
import { backupIdTime } from '../backup-id.ts';
import type { BackupContext } from '../context.ts';
import { exclusively } from '../exclusive.ts';
import type { BackupManifest } from '../manifest.ts';
import {
  endEarlierSessions,
  type PostgresServer,
  PsqlSession,
  queryJson,
  runSql,
  withoutSession,
} from '../psql.ts';
import { type OpenBackup, readText } from '../read-object.ts';
import { type Catalog, parseCatalog } from '../sources/catalog.ts';
import { livePostgres } from '../sources/open-source.ts';
import { checkDatabase } from './check-database.ts';
import { type DatabasePair, databasesOf, namedByConfig } from './chosen-databases.ts';
import { beforeName, MAINTENANCE_DATABASE, restoredName } from './database-names.ts';
import {
  analyzeDatabase,
  type DatabaseRestore,
  dropDatabase,
  OURS,
  refineStatistics,
  restoreDatabase,
  setComment,
} from './restore-database.ts';
import { type RestoreEffort, restoreEffort } from './restore-effort.ts';
import { missingTablespaces, readGlobals, restoreRoles } from './restore-roles.ts';
import { type SwapPair, swapDatabases } from './swap.ts';

export interface RestoreWish {
  /** Restores under this name and leaves the live database alone. */
  readonly into?: string;
  /** One of the backup's databases; all when absent. */
  readonly database?: string;
  /** Asks whether to go on; a no throws `consent/refused`. */
  readonly consent: (question: string) => Promise<void>;
}

export interface RestoredDatabase {
  readonly database: string;
  /** Where it stands now. */
  readonly name: string;
  /** What the live one is called since; absent when there was none, or with `into`. */
  readonly kept?: string;
  readonly tables: number;
  readonly rows: number;
}

/** Restores into new databases, checks them, and puts them in the place of the live ones. */
export async function restorePostgres(
  context: BackupContext,
  backup: OpenBackup,
  wish: RestoreWish,
): Promise<RestoredDatabase[]> {
  const { host, paths } = context;
  return await exclusively(host, posix.join(paths.agent, 'locks'), 'restore', async () => {
    const live = await livePostgres(context, 'holdfast-restore');
    const effort = restoreEffort(live);
    // It is waited for below.
    effort.catch(() => undefined);
    const session = await PsqlSession.open(live, 'postgres');
    try {
      return await restoreInto({ ...live, session }, await effort, context, backup, wish);
    } finally {
      await session.close();
    }
  });
}

async function restoreInto(
  server: PostgresServer,
  effort: RestoreEffort,
  context: BackupContext,
  backup: OpenBackup,
  wish: RestoreWish,
): Promise<RestoredDatabase[]> {
  await runSql(server, 'postgres', endEarlierSessions(server));
  const facts = await serverFacts(server);
  refuseOlderServer(facts, backup.manifest);
  const chosen = databasesOf(backup.manifest, wish, namedByConfig(context.settings));
  const databases = replaceable(context, chosen, backup, wish);
  if (wish.into !== undefined && facts.comments[wish.into] !== undefined) {
    throw nameTaken(wish.into);
  }
  await dropUnfinished(server, facts, backup.manifest.id);
  const globals = await readGlobals(backup);
  await restoreRoles(server, globals);
  const tablespaces = await missingTablespaces(server, globals);
  if (tablespaces.length > 0) {
    const text = `the tablespace ${tablespaces.join(', ')} is not here: all goes to the default one`;
    context.report({ kind: 'warning', code: 'restore/no-tablespace', text });
  }
  const target = { server, facts, effort, foreignServer: tablespaces.length > 0 };
  const prepared: Prepared[] = [];
  for (const pair of databases) {
    prepared.push(await prepare(context, target, backup, pair));
  }
  const restored = await swapAll(context, server, backup.manifest, prepared, wish);
  for (const { name } of restored) await refineStatistics(context.host, server, name);
  return restored;
}

/**
 * Our own connections, and those of whoever administers the server, go to `postgres`, so it cannot change its name:
 * it comes back beside, with `into`.
 */
function replaceable(
  { report }: BackupContext,
  pairs: readonly DatabasePair[],
  { manifest }: OpenBackup,
  { into, database }: RestoreWish,
): DatabasePair[] {
  const isFixed = (pair: DatabasePair) =>
    into === undefined && pair.database === MAINTENANCE_DATABASE;
  if (!pairs.some(isFixed)) return [...pairs];
  const command = `holdfast restore ${manifest.id} --database ${MAINTENANCE_DATABASE} --into NAME`;
  if (database === MAINTENANCE_DATABASE) {
    throw new AppError({
      code: 'restore/maintenance-database',
      what: `the live database ${MAINTENANCE_DATABASE} is not replaced`,
      why: 'whoever renames databases is connected to it',
      hint: command,
    });
  }
  report({
    kind: 'warning',
    code: 'restore/maintenance-database',
    text: `tables in ${MAINTENANCE_DATABASE} were saved and stay in the backup: ${command}`,
  });
  return pairs.filter((pair) => !isFixed(pair));
}

interface Target extends Pick<DatabaseRestore, 'server' | 'effort' | 'foreignServer'> {
  readonly facts: ServerFacts;
}

/** Of the server before anything is changed. */
interface ServerFacts {
  readonly major: number;
  /** Comment of each database, empty where there is none. */
  readonly comments: Readonly<Record<string, string>>;
}

async function serverFacts(server: PostgresServer): Promise<ServerFacts> {
  return await queryJson<ServerFacts>(
    server,
    'postgres',
    `SELECT json_build_object(
       'major', current_setting('server_version_num')::int / 10000,
       'comments', (SELECT json_object_agg(datname, coalesce(shobj_description(oid, 'pg_database'), ''))
                    FROM pg_database));`,
  );
}

interface Prepared {
  readonly pair: DatabasePair;
  readonly restored: string;
  readonly catalog: Catalog;
  readonly tables: number;
  readonly rows: number;
}

/** Says in a database's comment that it was restored and checked, so that a rerun need not do it again. */
function checkedMark(id: string): string {
  return `${OURS}restored and checked, ${id}`;
}

async function prepare(
  { report }: BackupContext,
  { server, facts, effort, foreignServer }: Target,
  backup: OpenBackup,
  pair: DatabasePair,
): Promise<Prepared> {
  const { id } = backup.manifest;
  const restored = restoredName(pair.database, id);
  const catalog = parseCatalog(await readText(backup, pair.catalog));
  const { subscriptions = [] } = catalog.database;
  if (subscriptions.length > 0) {
    const text = `${pair.database} came without its subscription ${subscriptions.join(', ')}, which would take rows twice: drop it in the one that is kept, and make it anew`;
    report({ kind: 'warning', code: 'restore/no-subscription', text });
  }
  const found = facts.comments[restored];
  const progress = (text: string): void => report({ kind: 'progress', id: 'restore', text });
  if (found !== checkedMark(id)) {
    progress(`restoring ${pair.database} into ${restored}`);
    await restoreDatabase({
      server,
      backup,
      object: pair.object,
      catalog,
      target: restored,
      effort,
      foreignServer,
    });
  }
  progress(`checking ${restored}`);
  // Both read every table: together each page comes from the disk once.
  const [checked] = await Promise.all([
    checkDatabase(server, restored, catalog),
    analyzeDatabase(server, restored),
  ]);
  await setComment(server, restored, checkedMark(id));
  return { pair, restored, catalog, ...checked };
}

async function swapAll(
  { report, now }: BackupContext,
  server: PostgresServer,
  manifest: BackupManifest,
  prepared: readonly Prepared[],
  wish: RestoreWish,
): Promise<RestoredDatabase[]> {
  const existing = new Set(await runSql(server, 'postgres', 'SELECT datname FROM pg_database;'));
  const swaps = prepared.map((one) => {
    const live = wish.into ?? one.pair.database;
    const { comment } = one.catalog.database;
    const pair: SwapPair = {
      live,
      restored: one.restored,
      before: existing.has(live) ? beforeName(live, manifest.id, existing) : undefined,
      comment: comment ?? undefined,
    };
    return { one, pair };
  });
  const replaced = swaps.filter(({ pair }) => pair.before !== undefined);
  if (replaced.length > 0) {
    const question = lossText(
      manifest,
      now(),
      replaced.map(({ pair }) => pair),
    );
    try {
      await wish.consent(question);
    } catch (error) {
      for (const { pair } of swaps) await dropDatabase(server, pair.restored);
      throw error;
    }
  }
  report({ kind: 'progress', id: 'restore', text: 'swapping the names' });
  // A person may have taken hours to say yes.
  await swapDatabases(
    withoutSession(server),
    swaps.map(({ pair }) => pair),
  );
  return swaps.map(({ one, pair }) => ({
    database: one.pair.database,
    name: pair.live,
    ...(pair.before === undefined ? {} : { kept: pair.before }),
    tables: one.tables,
    rows: one.rows,
  }));
}

const UNFINISHED = /_restored_[0-9]{8}t[0-9]{6}z_[0-9a-f]{6}$/;

/** What restores of other backups left that were killed; this one's is used. */
async function dropUnfinished(
  server: PostgresServer,
  { comments }: ServerFacts,
  id: string,
): Promise<void> {
  for (const [name, comment] of Object.entries(comments)) {
    const isUnfinished = comment.startsWith(OURS) && UNFINISHED.test(name);
    if (isUnfinished && !name.endsWith(restoredName('', id))) await dropDatabase(server, name);
  }
}

/** What the swap takes out of sight: everything written since the backup began. */
function lossText(manifest: BackupManifest, now: Date, pairs: readonly SwapPair[]): string {
  const begun = backupIdTime(manifest.id) ?? new Date(manifest.startedAt);
  const age = formatSpan((now.getTime() - begun.getTime()) / 1000);
  const names = pairs.map(({ live, before }) => `${live} (kept as ${before})`).join(', ');
  return (
    `Everything written since ${begun.toISOString()}, ${age} ago, will be missing from: ${names}.\n` +
    'Connections to them are cut for a moment. Put the restored databases in their place?'
  );
}

function refuseOlderServer({ major }: ServerFacts, manifest: BackupManifest): void {
  const needed = manifest.server?.major ?? 0;
  if (major >= needed) return;
  throw new AppError({
    code: 'restore/older-server',
    what: `the backup was made by Postgres ${needed}, and Postgres ${major} runs here`,
    why: 'an older server cannot read the archive of a newer one',
    hint: `set postgres.version to "${needed}" in config.yaml and apply`,
  });
}

function nameTaken(name: string): AppError {
  return new AppError({
    code: 'restore/name-taken',
    what: `there is a database ${name} already`,
    hint: 'choose another name: `holdfast restore ID --into NAME`',
  });
}
