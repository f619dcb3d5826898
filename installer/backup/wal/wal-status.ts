import { posix } from 'node:path';
import type { Host } from '../../host/host.ts';
import { RESULTS_FOLDER } from '../../model/backup-result.ts';
import type { Paths } from '../../model/paths.ts';
import { WAL_RESULT, type WalStatus } from '../../model/wal-status.ts';

/** Undefined before the first pass, and when the file is damaged: then shipping begins anew, with a base backup. */
export async function readWalStatus(host: Host, paths: Paths): Promise<WalStatus | undefined> {
  const content = await host.read(file(paths));
  if (content === undefined) return undefined;
  try {
    return JSON.parse(Buffer.from(content).toString('utf8')) as WalStatus;
  } catch {
    // Nothing is lost by it: a new base backup starts a new chain.
    return undefined;
  }
}

export async function saveWalStatus(host: Host, paths: Paths, status: WalStatus): Promise<void> {
  await host.write(file(paths), `${JSON.stringify(status, undefined, 1)}\n`, {
    mode: 0o644,
    uid: 0,
    gid: 0,
  });
}

function file(paths: Paths): string {
  return posix.join(paths.agent, RESULTS_FOLDER, WAL_RESULT);
}
