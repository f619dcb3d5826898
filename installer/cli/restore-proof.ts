import type { RestoreTestResult } from '../model/backup-result.ts';
import type { BackupSettings } from '../model/backup-settings.ts';
import type { DrillResult } from '../model/drill-result.ts';
import { formatSpan } from '../model/format-bytes.ts';
import { allowedLoss } from '../model/lost-time.ts';
import { lossText } from './proof-text.ts';
import type { StatusReport } from './status-report.ts';

/** What the last restore tests proved, for `status`. */
export function provenRestores(
  result: RestoreTestResult | undefined,
): Pick<StatusReport, 'restoreTest' | 'pointInTime'> {
  const { lastSuccess: dump, pointInTime, lastRun } = result ?? {};
  const shown = dump ?? pointInTime;
  return {
    ...(shown === undefined
      ? {}
      : {
          restoreTest: {
            finishedAt: shown.finishedAt,
            seconds: shown.seconds,
            rows: shown.rows,
            ok: lastRun?.ok === true,
          },
        }),
    ...(pointInTime === undefined
      ? {}
      : {
          pointInTime: {
            finishedAt: pointInTime.finishedAt,
            base: pointInTime.base,
            seconds: pointInTime.seconds,
            ...(pointInTime.lostSeconds === undefined
              ? {}
              : { lostSeconds: pointInTime.lostSeconds }),
            ...(pointInTime.lostMore === true ? { lostMore: true } : {}),
            rows: pointInTime.rows,
          },
        }),
  };
}

export function rehearsal(result: DrillResult | undefined): Pick<StatusReport, 'drill'> {
  if (result?.lastSuccess === undefined) return {};
  const { finishedAt, seconds } = result.lastSuccess;
  return { drill: { finishedAt, seconds, ok: result.lastRun.ok } };
}

function promiseText({ objectives, pitr }: Pick<BackupSettings, 'objectives' | 'pitr'>): string {
  return objectives.rpo === undefined
    ? `postgres.pitr.rpo is ${formatSpan(pitr?.rpoSeconds ?? 0)}`
    : `objectives.rpo is ${formatSpan(objectives.rpo)}`;
}

/** Where the proof is missing, or shows that a promise does not hold. */
export function proofProblems(
  result: RestoreTestResult | undefined,
  settings: Pick<BackupSettings, 'objectives' | 'pitr'>,
): string[] {
  if (result === undefined) return [];
  const { rto = Number.POSITIVE_INFINITY } = settings.objectives;
  const loss = allowedLoss(settings);
  const { lastRun, lastSuccess: dump, pointInTime } = result;
  const slowest = Math.max(dump?.seconds ?? 0, pointInTime?.seconds ?? 0);
  const damaged = pointInTime?.damagedBases ?? [];
  return [
    ...(lastRun.ok ? [] : [`the last restore test failed: ${lastRun.what ?? ''}`]),
    ...(slowest > rto
      ? [`coming back took ${formatSpan(slowest)}, and objectives.rto is ${formatSpan(rto)}`]
      : []),
    ...(pointInTime !== undefined && loss !== undefined && (pointInTime.lostSeconds ?? 0) > loss
      ? [`${lossText(pointInTime)}, and ${promiseText(settings)}`]
      : []),
    ...(damaged.length > 0
      ? [`the base backup ${damaged.join(', ')} is damaged: holdfast backup run, then restore-test`]
      : []),
  ];
}
