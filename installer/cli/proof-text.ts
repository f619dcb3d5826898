import type { PointInTimeProof } from '../model/backup-result.ts';
import { formatSpan } from '../model/format-bytes.ts';

/** What a loss of the server would have cost when the store was read. */
export function lossText({
  lostSeconds,
  lostMore,
}: Pick<PointInTimeProof, 'lostSeconds' | 'lostMore'>): string {
  if (lostSeconds === undefined) return 'what would have been lost was not measured';
  return `${lostMore === true ? 'more than ' : ''}${formatSpan(lostSeconds)} would have been lost`;
}
