import { copyCluster } from './copy-cluster.ts';
import { differences, portraitOf } from './portrait.ts';
import { rowsWritten } from './rows-written.ts';
import {
  type ServerRequest,
  startServer,
  stopServer,
  syncVolume,
  type UpgradeContext,
} from './upgrade-server.ts';

export interface FilledCluster {
  /** Between the old cluster and the new one; none when the copy is good. */
  readonly differences: readonly string[];
  /** Ever written to the new one. */
  readonly rowsWritten: number;
}

/**
 * Makes a cluster of the new version in an empty volume, fills it from the files of the old one, which nobody
 * else has open, and compares the two. Both servers run without a network and are stopped at the end; whoever calls
 * removes them, also after a failure.
 * @throws AppError `restore/upgrade-server`, `restore/upgrade-copy`
 */
export async function fillNewCluster(
  context: UpgradeContext,
  requests: { readonly old: ServerRequest; readonly young: ServerRequest },
  progress: (text: string) => void,
): Promise<FilledCluster> {
  const old = await startServer(context, requests.old);
  const young = await startServer(context, requests.young);
  progress('copying roles, databases and rows');
  await copyCluster(old, young);
  progress('comparing roles, databases, sequences and rows');
  const [before, after] = await Promise.all([portraitOf(old), portraitOf(young)]);
  const written = await rowsWritten(young);
  await stopServer(context, young);
  await stopServer(context, old);
  progress('writing it out to the disk');
  await syncVolume(context, requests.young);
  return { differences: differences(before, after), rowsWritten: written };
}
