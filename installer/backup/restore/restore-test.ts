import { posix } from 'node:path';
import { AppError } from '../../errors.ts';
import type { PointInTimeProof, RestoreTestResult } from '../../model/backup-result.ts';
import type { BackupSettings } from '../../model/backup-settings.ts';
import type { BackupContext } from '../context.ts';
import { exclusively } from '../exclusive.ts';
import { requireFreeSpace } from '../free-space.ts';
import type { PostgresServer } from '../psql.ts';
import { type OpenBackup, readText } from '../read-object.ts';
import { restoreTestIdentityFile } from '../recovery-keys.ts';
import { lastRun, recordRestoreTest } from '../results.ts';
import { type Catalog, parseCatalog } from '../sources/catalog.ts';
import { checkAssertions } from './assertions.ts';
import { checkDatabase } from './check-database.ts';
import { checkPages } from './check-pages.ts';
import { withBackup } from './choose-backup.ts';
import { namedByConfig } from './chosen-databases.ts';
import { proofName } from './database-names.ts';
import { provePointInTime } from './prove-point-in-time.ts';
import { restoreDatabase } from './restore-database.ts';
import { effortFor } from './restore-effort.ts';
import { readGlobals, restoreRoles } from './restore-roles.ts';
import { withThrowawayPostgres } from './throwaway-postgres.ts';

export type DumpProof = NonNullable<RestoreTestResult['lastSuccess']>;

/** What came back; each absent where this server makes no such backups. */
export interface RestoreTestOutcome {
  readonly dump?: DumpProof;
  readonly pointInTime?: PointInTimeProof;
}

const TASK = 'restore-test';
const MIB = 1024 ** 2;
const LIMITS = { cpus: 1, memory: 768 * MIB };

/**
 * Restores the newest verified dump of Postgres, and the newest point in time, into throw-away servers with the key
 * that lives here, reads every row, checks every page and index, and asks the user's own assertions. Both are tried,
 * also when the first fails; what succeeded is recorded.
 * @throws AppError classes `restore`, `backup`, `store`
 */
export async function runRestoreTest(context: BackupContext): Promise<RestoreTestOutcome> {
  const { host, paths, settings, now } = context;
  const locks = posix.join(paths.agent, 'locks');
  return await exclusively(host, locks, TASK, async () => {
    const startedAt = now();
    const failures: unknown[] = [];
    const tried = async <T>(isDue: boolean, work: () => Promise<T>): Promise<T | undefined> => {
      try {
        return isDue ? await work() : undefined;
      } catch (error) {
        if (failures.push(error) > 1) warn(context, error);
        return undefined;
      }
    };
    const isOnlyPointInTime = settings.pitr !== undefined && !makesDumps(settings);
    const dump = await tried(!isOnlyPointInTime, () => attempt(context));
    const pointInTime = await tried(settings.pitr !== undefined, () => provePointInTime(context));
    const outcome = {
      ...(dump === undefined ? {} : { dump }),
      ...(pointInTime === undefined ? {} : { pointInTime }),
    };
    await recordRestoreTest(host, paths, lastRun(startedAt, now(), failures[0]), {
      ...(dump === undefined ? {} : { lastSuccess: dump }),
      ...(pointInTime === undefined ? {} : { pointInTime }),
    });
    if (failures.length > 0) throw failures[0];
    return outcome;
  });
}

function makesDumps({ jobs }: BackupSettings): boolean {
  return jobs.some(({ source, method }) => source.kind === 'postgres' && method !== 'physical');
}

function warn({ report }: BackupContext, error: unknown): void {
  const code = error instanceof AppError ? error.code : 'bug/unexpected';
  report({ kind: 'warning', code, text: (error as Error).message });
}

async function attempt(context: BackupContext): Promise<DumpProof> {
  const identityFile = restoreTestIdentityFile(context.paths);
  return await withBackup(
    context,
    { kind: 'postgres', identityFile, proveStore: true },
    async (backup) => {
      const clock = performance.now();
      const databases = await catalogs(backup);
      await checkSpace(context, backup, databases);
      return await withThrowawayPostgres(context, TASK, LIMITS, async (server) => {
        await restoreRoles(server, await readGlobals(backup));
        let tables = 0;
        let rows = 0;
        for (const catalog of databases) {
          const checked = await restoreOne(context, server, backup, catalog);
          tables += checked.tables;
          rows += checked.rows;
        }
        const names = databases.map(({ database }) => database.datname);
        await checkAssertions(
          server,
          asserted(context.settings, names),
          context.settings.assertions,
        );
        return {
          backupId: backup.manifest.id,
          job: backup.manifest.job,
          finishedAt: context.now().toISOString(),
          seconds: (performance.now() - clock) / 1000,
          databases: databases.length,
          tables,
          rows,
        };
      });
    },
  );
}

/** Assertions are of the databases of the config: a tenant's, or a copy that somebody made, may be empty. */
function asserted(settings: BackupSettings, saved: readonly string[]): readonly string[] {
  const named = namedByConfig(settings);
  const ours = saved.filter((name) => named.includes(name));
  return ours.length > 0 ? ours : saved.map(proofName);
}

async function restoreOne(
  { report }: BackupContext,
  server: PostgresServer,
  backup: OpenBackup,
  catalog: Catalog,
): Promise<{ readonly tables: number; readonly rows: number }> {
  const { datname } = catalog.database;
  const target = proofName(datname);
  const object = backup.manifest.objects.find(
    ({ role, database }) => role === 'database' && database === datname,
  );
  if (object === undefined) throw new Error(`the manifest has no dump of ${datname}`);
  report({ kind: 'progress', id: TASK, text: `restoring ${target}` });
  const effort = effortFor(LIMITS.cpus, LIMITS.memory);
  await restoreDatabase({ server, backup, object, catalog, target, effort, foreignServer: true });
  report({ kind: 'progress', id: TASK, text: `checking ${target}` });
  const checked = await checkDatabase(server, target, catalog);
  // Also that each index has all rows of its table.
  await checkPages(server, target, ['--heapallindexed']);
  return checked;
}

async function catalogs(backup: OpenBackup): Promise<Catalog[]> {
  const found: Catalog[] = [];
  for (const object of backup.manifest.objects) {
    if (object.role === 'catalog') found.push(parseCatalog(await readText(backup, object)));
  }
  return found;
}

async function checkSpace(
  { engine }: BackupContext,
  { manifest }: OpenBackup,
  databases: readonly Catalog[],
): Promise<void> {
  const { dataRoot } = await engine.info();
  const restored = databases.reduce((sum, { database }) => sum + database.sizeBytes, 0);
  const archives = manifest.objects.map(({ plainSize }) => plainSize);
  await requireFreeSpace(
    dataRoot,
    // Beside the data: the WAL that the restore writes, at most 2 GiB.
    restored * 1.2 + Math.max(...archives) + Math.min(restored, 2048 * MIB),
    'a restore test',
  );
}
