import {
  type BackupResult,
  RESTORE_TEST_RESULT,
  RESULTS_FOLDER,
  type RestoreTestResult,
} from '../../installer/model/backup-result.ts';
import { readJson } from '../files.ts';
import { gauge, type Metric, type Sample } from './text-format.ts';

/** What the runs of `holdfast backup` left, as metrics. `jobs` are backup jobs by their own name. */
export function backupMetrics(agentFolder: string, jobs: readonly string[]): Metric[] {
  const results = jobs.flatMap((job) => {
    const result = readJson<BackupResult>(`${agentFolder}/${RESULTS_FOLDER}/${job}.json`);
    return result?.lastSuccess === undefined ? [] : [{ job, success: result.lastSuccess }];
  });
  const perJob = (value: (success: NonNullable<BackupResult['lastSuccess']>) => number): Sample[] =>
    results.map(({ job, success }) => ({ labels: { job }, value: value(success) }));
  const test = readJson<RestoreTestResult>(
    `${agentFolder}/${RESULTS_FOLDER}/${RESTORE_TEST_RESULT}`,
  )?.lastSuccess;
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
      'holdfast_restore_test_last_success_timestamp_seconds',
      'When a backup was last restored for a test.',
      test === undefined ? [] : [{ value: seconds(test.finishedAt) }],
    ),
    gauge(
      'holdfast_restore_test_duration_seconds',
      'How long that restore took: the measured recovery time.',
      test === undefined ? [] : [{ value: test.seconds }],
    ),
  ];
}

/** NaN, which is not written, for what is not there. */
function seconds(time: string): number {
  return Date.parse(time) / 1_000;
}
