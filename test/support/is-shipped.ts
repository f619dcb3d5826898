import type { Received } from '../../installer/backup/wal/receiver-folder.ts';
import { isSegment, partialOf } from '../../installer/model/wal-files.ts';
import type { WalStatus } from '../../installer/model/wal-status.ts';

/** Whether all that the receiver had written by then lies in the store. */
export function isShipped(
  { segments, partials, histories }: Received,
  status: WalStatus | undefined,
): boolean {
  const through = status?.shippedThrough ?? '';
  return [...segments, ...partials, ...histories].every(({ name, mtimeMs }) => {
    const segment = isSegment(name) ? name : partialOf(name);
    const isWhole = segment !== undefined && segment <= through;
    return isWhole || (status?.shippedFiles?.[name] ?? 0) >= mtimeMs;
  });
}
