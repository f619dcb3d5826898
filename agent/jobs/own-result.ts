import { RESTORE_TEST_RESULT, RESULTS_FOLDER } from '../../installer/model/backup-result.ts';
import { DRILL_RESULT } from '../../installer/model/drill-result.ts';
import { readJson } from '../files.ts';

interface ResultFile {
  readonly lastRun?: {
    readonly startedAt: string;
    readonly finishedAt: string;
    readonly ok: boolean;
    readonly what?: string;
  };
}

/**
 * What a run says of itself in its result file, for one whose exit code nobody saw. Undefined for jobs
 * that leave no such file, and when the file is of an earlier run.
 */
export function ownResult(
  agentFolder: string,
  argv: readonly string[],
  startedAt: number,
): { readonly ok: boolean; readonly what: string } | undefined {
  const name = resultName(argv);
  if (name === undefined) return undefined;
  const run = readJson<ResultFile>(`${agentFolder}/${RESULTS_FOLDER}/${name}`)?.lastRun;
  if (run === undefined || Date.parse(run.finishedAt) < startedAt) return undefined;
  return { ok: run.ok, what: run.what ?? '' };
}

function resultName([noun, verb, name]: readonly string[]): string | undefined {
  if (noun !== 'backup') return undefined;
  if (verb === 'restore-test') return RESTORE_TEST_RESULT;
  if (verb === 'drill') return DRILL_RESULT;
  return verb === 'run' && name !== undefined ? `${name}.json` : undefined;
}
