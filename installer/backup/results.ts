import { posix } from 'node:path';
import { AppError } from '../errors.ts';
import type { Host } from '../host/host.ts';
import {
  type BackupResult,
  type LastRun,
  RESTORE_TEST_RESULT,
  RESULTS_FOLDER,
  type RestoreTestResult,
  type StoreRoom,
} from '../model/backup-result.ts';
import { DRILL_RESULT, type DrillResult } from '../model/drill-result.ts';
import type { Paths } from '../model/paths.ts';
import { noteProof } from './report/proof-log.ts';

/** How a run ended, in the words that the agent and `status` show. */
export function lastRun(startedAt: Date, finishedAt: Date, error?: unknown): LastRun {
  const times = { startedAt: startedAt.toISOString(), finishedAt: finishedAt.toISOString() };
  if (error === undefined) return { ...times, ok: true };
  return {
    ...times,
    ok: false,
    code: error instanceof AppError ? error.code : 'bug/unexpected',
    what: error instanceof Error ? error.message : String(error),
  };
}

export async function recordBackup(
  host: Host,
  paths: Paths,
  job: string,
  run: LastRun,
  success?: BackupResult['lastSuccess'],
  store?: StoreRoom,
): Promise<void> {
  const before = await readBackupResult(host, paths, job);
  const lastSuccess = success ?? before?.lastSuccess;
  const result: BackupResult = {
    version: 1,
    job,
    lastRun: run,
    ...(lastSuccess === undefined ? {} : { lastSuccess }),
    failuresInARow: run.ok ? 0 : (before?.failuresInARow ?? 0) + 1,
    ...(store === undefined ? {} : { store }),
  };
  await write(host, paths, `${job}.json`, result);
  await noteProof(paths, {
    kind: 'backup',
    job,
    ...ended(run),
    ...(success === undefined
      ? {}
      : {
          id: success.id,
          bytes: success.bytes,
          verified: success.verifiedAt !== undefined,
          seconds: success.seconds,
        }),
  });
}

function ended({ startedAt, finishedAt, ok, what }: LastRun) {
  return { startedAt, finishedAt, ok, ...(what === undefined ? {} : { what }) };
}

export async function readBackupResult(
  host: Host,
  paths: Paths,
  job: string,
): Promise<BackupResult | undefined> {
  return await read<BackupResult>(host, paths, `${job}.json`);
}

export async function recordRestoreTest(
  host: Host,
  paths: Paths,
  run: LastRun,
  success: Pick<RestoreTestResult, 'lastSuccess' | 'pointInTime'>,
): Promise<void> {
  const { lastSuccess, pointInTime } = {
    ...(await readRestoreTestResult(host, paths)),
    ...success,
  };
  const result: RestoreTestResult = {
    version: 1,
    lastRun: run,
    ...(lastSuccess === undefined ? {} : { lastSuccess }),
    ...(pointInTime === undefined ? {} : { pointInTime }),
  };
  await write(host, paths, RESTORE_TEST_RESULT, result);
  const proofs = [success.lastSuccess, success.pointInTime].filter((one) => one !== undefined);
  const { lostSeconds, lostMore } = success.pointInTime ?? {};
  await noteProof(paths, {
    kind: 'restore-test',
    ...ended(run),
    ...(proofs.length === 0
      ? {}
      : {
          id: success.pointInTime?.base ?? success.lastSuccess?.backupId ?? '',
          seconds: Math.max(...proofs.map(({ seconds }) => seconds)),
          rows: Math.max(...proofs.map(({ rows }) => rows)),
        }),
    ...(lostSeconds === undefined ? {} : { lostSeconds }),
    ...(lostMore === undefined ? {} : { lostMore }),
  });
}

export async function readRestoreTestResult(
  host: Host,
  paths: Paths,
): Promise<RestoreTestResult | undefined> {
  return await read<RestoreTestResult>(host, paths, RESTORE_TEST_RESULT);
}

export async function recordDrill(
  host: Host,
  paths: Paths,
  run: LastRun,
  success?: DrillResult['lastSuccess'],
): Promise<void> {
  const before = await read<DrillResult>(host, paths, DRILL_RESULT);
  const lastSuccess = success ?? before?.lastSuccess;
  const result: DrillResult = {
    version: 1,
    lastRun: run,
    ...(lastSuccess === undefined ? {} : { lastSuccess }),
  };
  await write(host, paths, DRILL_RESULT, result);
  await noteProof(paths, {
    kind: 'drill',
    ...ended(run),
    ...(success === undefined ? {} : { seconds: success.seconds }),
  });
}

async function read<T>(host: Host, paths: Paths, name: string): Promise<T | undefined> {
  const content = await host.read(posix.join(paths.agent, RESULTS_FOLDER, name));
  if (content === undefined) return undefined;
  try {
    return JSON.parse(Buffer.from(content).toString('utf8')) as T;
  } catch {
    // It only tells of the past; a damaged one must not stop the next backup.
    return undefined;
  }
}

async function write(host: Host, paths: Paths, name: string, result: unknown): Promise<void> {
  await host.write(
    posix.join(paths.agent, RESULTS_FOLDER, name),
    `${JSON.stringify(result, undefined, 2)}\n`,
    { mode: 0o644, uid: 0, gid: 0 },
  );
}
