import {
  type BackupResult,
  RESTORE_TEST_RESULT,
  RESULTS_FOLDER,
  type RestoreTestResult,
  type StoreRoom,
} from '../../installer/model/backup-result.ts';
import { DRILL_RESULT, type DrillResult } from '../../installer/model/drill-result.ts';
import {
  RECOVERY_KEYS_FILE,
  type RecoveryKeyRecord,
} from '../../installer/model/recovery-key-record.ts';
import {
  goneLately,
  STORED_FOLDER,
  type StoredBackups,
} from '../../installer/model/stored-backups.ts';
import { readJson } from '../files.ts';
import { gauge, type Metric, type Sample } from './text-format.ts';

/** What the runs of `holdfast backup` left, as metrics. `jobs` are backup jobs by their own name. */
export function backupMetrics(
  agentFolder: string,
  jobs: readonly string[],
  now = new Date(),
): Metric[] {
  const runs = jobs.flatMap((job) => {
    const result = readJson<BackupResult>(`${agentFolder}/${RESULTS_FOLDER}/${job}.json`);
    return result === undefined ? [] : [{ job, result }];
  });
  const results = runs.flatMap(({ job, result: { lastSuccess } }) =>
    lastSuccess === undefined ? [] : [{ job, success: lastSuccess }],
  );
  const rooms = runs.flatMap(({ job, result: { lastRun, store } }) =>
    store === undefined ? [] : [{ job, at: lastRun.finishedAt, store }],
  );
  const keys = readJson<RecoveryKeyRecord>(`${agentFolder}/${RECOVERY_KEYS_FILE}`);
  const perJob = (value: (success: NonNullable<BackupResult['lastSuccess']>) => number): Sample[] =>
    results.map(({ job, success }) => ({ labels: { job }, value: value(success) }));
  const test = readJson<RestoreTestResult>(
    `${agentFolder}/${RESULTS_FOLDER}/${RESTORE_TEST_RESULT}`,
  );
  const drill = readJson<DrillResult>(
    `${agentFolder}/${RESULTS_FOLDER}/${DRILL_RESULT}`,
  )?.lastSuccess;
  const proofs = [
    ...(test?.lastSuccess === undefined ? [] : [{ kind: 'dump', ...test.lastSuccess }]),
    ...(test?.pointInTime === undefined ? [] : [{ kind: 'point-in-time', ...test.pointInTime }]),
  ];
  const perKind = (value: (proof: (typeof proofs)[number]) => number): Sample[] =>
    proofs.map((proof) => ({ labels: { kind: proof.kind }, value: value(proof) }));
  return [
    gauge(
      'holdfast_backup_last_success_timestamp_seconds',
      'When the newest backup of the job was finished.',
      perJob(({ finishedAt }) => seconds(finishedAt)),
    ),
    gauge(
      'holdfast_backup_last_verified_timestamp_seconds',
      'When the newest backup of the job was read back and compared.',
      perJob(({ verifiedAt }) => seconds(verifiedAt ?? '')),
    ),
    gauge(
      'holdfast_backup_last_size_bytes',
      'Stored bytes of the newest backup of the job.',
      perJob(({ bytes }) => bytes),
    ),
    gauge(
      'holdfast_backup_store_unreachable',
      'Whether the last run of the job ended because its store could not be used.',
      runs.map(({ job, result }) => ({ labels: { job }, value: lacksStore(result) ? 1 : 0 })),
    ),
    gauge(
      'holdfast_backup_gone',
      'Backups of the job that this server stored, and that somebody else removed in the last seven days.',
      jobs.flatMap((job) => {
        const known = readJson<StoredBackups>(`${agentFolder}/${STORED_FOLDER}/${job}.json`);
        if (known === undefined) return [];
        return [{ labels: { job }, value: goneLately(known.gone, now).length }];
      }),
    ),
    gauge(
      'holdfast_backup_stored_bytes',
      'Bytes of all backups of the job in its store, without WAL.',
      rooms.flatMap(({ job, store: { name, storedBytes } }) =>
        storedBytes === undefined ? [] : [{ labels: { job, store: name }, value: storedBytes }],
      ),
    ),
    gauge(
      'holdfast_backup_store_free_bytes',
      'What was free on the disk of the store when the last job that writes there ended.',
      newestDisks(rooms).map(({ name, disk }) => ({
        labels: { store: name },
        value: disk.freeBytes,
      })),
    ),
    gauge(
      'holdfast_backup_store_size_bytes',
      'Size of that disk.',
      newestDisks(rooms).map(({ name, disk }) => ({ labels: { store: name }, value: disk.bytes })),
    ),
    gauge(
      'holdfast_recovery_key_proven_timestamp_seconds',
      'When somebody last showed that they hold the secret half of this recovery key.',
      Object.entries(keys?.provenAt ?? {}).map(([recipient, at]) => ({
        labels: { recipient },
        value: seconds(at),
      })),
    ),
    gauge(
      'holdfast_recovery_key_declined_timestamp_seconds',
      'When somebody last chose to go on without such a proof.',
      keys?.declinedAt === undefined ? [] : [{ value: seconds(keys.declinedAt) }],
    ),
    gauge(
      'holdfast_restore_test_last_success_timestamp_seconds',
      'When a backup was last restored for a test.',
      perKind(({ finishedAt }) => seconds(finishedAt)),
    ),
    gauge(
      'holdfast_restore_test_duration_seconds',
      'How long that restore took: the measured recovery time.',
      perKind((proof) => proof.seconds),
    ),
    gauge(
      'holdfast_restore_test_lost_seconds',
      'What a loss of the server at that moment would have cost: the measured recovery point.',
      test?.pointInTime === undefined
        ? []
        : [{ value: test.pointInTime.lostSeconds ?? Number.NaN }],
    ),
    gauge(
      'holdfast_drill_last_success_timestamp_seconds',
      'When a full recovery was last rehearsed to its end.',
      drill === undefined ? [] : [{ value: seconds(drill.finishedAt) }],
    ),
    gauge(
      'holdfast_drill_duration_seconds',
      'How long that took until the product was healthy on the recovered data.',
      drill === undefined ? [] : [{ value: drill.seconds }],
    ),
    gauge(
      'holdfast_restore_test_damaged_bases',
      'Base backups that this test found damaged before one led to the newest point in time.',
      test?.pointInTime === undefined ? [] : [{ value: test.pointInTime.damagedBases.length }],
    ),
  ];
}

/** Of each store that is a folder, as the last of its jobs to end has seen it. */
function newestDisks(
  rooms: readonly { readonly at: string; readonly store: StoreRoom }[],
): { readonly name: string; readonly disk: NonNullable<StoreRoom['disk']> }[] {
  const newest = new Map<string, NonNullable<StoreRoom['disk']>>();
  for (const { store } of [...rooms].sort((a, b) => (a.at < b.at ? -1 : 1))) {
    if (store.disk !== undefined) newest.set(store.name, store.disk);
  }
  return [...newest].map(([name, disk]) => ({ name, disk }));
}

/** These tell of one object, in a store that answers. */
const OF_ONE_OBJECT = ['store/missing', 'store/short-listing', 'store/damaged-in-transit'];

function lacksStore({ lastRun: { code = '' } }: BackupResult): boolean {
  return code.startsWith('store/') && !OF_ONE_OBJECT.includes(code);
}

/** NaN, which is not written, for what is not there. */
function seconds(time: string): number {
  return Date.parse(time) / 1_000;
}
