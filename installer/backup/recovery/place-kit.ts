import { posix } from 'node:path';
import type { Host } from '../../host/host.ts';
import type { Paths } from '../../model/paths.ts';
import { unpackedFolder } from './journal.ts';

/**
 * Puts what the kit holds where it stood on the old server. Run again after a kill it ends the same; it returns when
 * all of it is on the disk.
 */
export async function placeKit(host: Host, paths: Paths): Promise<void> {
  const kit = unpackedFolder(paths);
  // The config last: with it the server counts as one that can be applied.
  const targets = [paths.secrets, paths.tls, paths.sites, paths.lock, appliedFolder(paths)];
  for (const target of targets) {
    const from = posix.join(kit, posix.relative(paths.state, target));
    if ((await host.stat(from)) === undefined) continue;
    await host.run({
      argv: [
        ...(['cp', '--archive', '--remove-destination', '--no-target-directory', '--'] as const),
        ...[from, target],
      ],
      timeoutSeconds: COPY_SECONDS,
    });
  }
  await host.run({ argv: ['sync', '--file-system', paths.state], timeoutSeconds: COPY_SECONDS });
}

/** Sites may be large. */
const COPY_SECONDS = 3_600;

export function appliedFolder(paths: Paths): string {
  return posix.join(paths.state, 'applied');
}

/** How many secrets, and the names of the sites, that the unpacked kit holds. */
export async function kitContents(
  host: Host,
  paths: Paths,
): Promise<{ readonly secrets: number; readonly sites: readonly string[] }> {
  const kit = unpackedFolder(paths);
  const under = (path: string): string => posix.join(kit, posix.relative(paths.state, path));
  const secrets = await host.list(under(paths.secrets));
  return {
    secrets: secrets.filter((name) => !name.includes('.')).length,
    sites: await host.list(under(paths.sites)),
  };
}
