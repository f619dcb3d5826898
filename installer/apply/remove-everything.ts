import { posix } from 'node:path';
import { CommandError } from '../host/command-error.ts';
import type { Host } from '../host/host.ts';
import type { Paths } from '../model/paths.ts';
import { endDiversion } from '../rollout/diversion.ts';
import type { ApplyContext } from './context.ts';
import { readLockFile } from './lock-file.ts';
import { isUnreadable, readManifest } from './manifest.ts';
import { removeNetwork } from './networks.ts';
import { stopAndRemove } from './stop-containers.ts';
import type { UninstallPlan } from './uninstall.ts';

/**
 * Takes down what an uninstall plan names. May be repeated after a kill: the records of our files and of the
 * project go last.
 */
export async function removeEverything(context: ApplyContext, plan: UninstallPlan): Promise<void> {
  const { host, engine, paths } = context;
  // The agent first: it would look after containers that go.
  const units = plan.outsideFiles.filter((path) => path.startsWith('/etc/systemd/system/'));
  const scripts = plan.outsideFiles.filter((path) => path.includes('/etc/init.d/'));
  await stopUnits(host, units);
  await stopScripts(host, scripts);
  await endDiversion(context);
  await stopAndRemove(
    context,
    plan.containers.map(({ id }) => id),
  );
  for (const network of plan.networks) await removeNetwork(context, { network });
  if (plan.purge && plan.volumes.length > 0) {
    await host.run({ argv: ['docker', 'volume', 'rm', '--force', ...plan.volumes] });
  }
  if (plan.images) {
    for (const reference of await knownImages(context)) {
      if ((await engine.image(reference)) === undefined) continue;
      // 1: another project's container uses it, and then it is not ours alone.
      await host.run({ argv: ['docker', 'image', 'rm', reference], okExitCodes: [0, 1] });
    }
  }
  for (const path of plan.outsideFiles) await host.remove(path);
  if (units.length > 0) await ifPresent(host, ['systemctl', 'daemon-reload']);
  // Debian's package stays, which may have been there before us; our bans end.
  if (plan.outsideFiles.some((path) => path.startsWith('/etc/fail2ban/'))) {
    await ifPresent(host, ['fail2ban-client', 'reload']);
  }
  if (plan.purge) await emptyState(host, paths);
  for (const path of plan.paths) await host.remove(path, { recursive: true });
  if (plan.purge) await removeEmptyFolder(host, posix.dirname(paths.config));
}

/** All but what a second run needs, and the lock that this one holds. */
async function emptyState(host: Host, paths: Paths): Promise<void> {
  const last = [paths.projectRecord, paths.applyLock];
  for (const name of await host.list(paths.state)) {
    const path = posix.join(paths.state, name);
    if (!last.includes(path)) await host.remove(path, { recursive: true });
  }
}

/** Images of the last apply, and earlier ones that are still on record. */
async function knownImages({ host, paths }: ApplyContext): Promise<Set<string>> {
  const { images, services } = await readLockFile(host, paths.lock);
  const locked = [...Object.values(images), ...Object.values(services)];
  return new Set([
    ...locked.flatMap((image) => (image === undefined ? [] : [image.reference])),
    ...(await recordedImages(host, paths.manifest)),
  ]);
}

/** None where the manifest cannot be read, which the plan of the uninstall has said already. */
async function recordedImages(host: Host, path: string): Promise<string[]> {
  try {
    return Object.keys((await readManifest(host, path)).images);
  } catch (error) {
    if (isUnreadable(error)) return [];
    throw error;
  }
}

async function stopUnits(host: Host, units: readonly string[]): Promise<void> {
  for (const path of units) {
    await ifPresent(host, ['systemctl', 'disable', '--now', posix.basename(path)]);
  }
}

async function stopScripts(host: Host, scripts: readonly string[]): Promise<void> {
  for (const path of scripts) {
    await ifPresent(host, [path, 'stop']);
    // A server below another root was never enabled, and this machine may have one of its own.
    if (!path.startsWith('/etc/init.d/')) continue;
    await ifPresent(host, ['update-rc.d', '-f', posix.basename(path), 'remove']);
  }
}

/** A unit that is not loaded, or a machine without that program, has nothing to stop. */
async function ifPresent(host: Host, argv: readonly [string, ...string[]]): Promise<void> {
  try {
    await host.run({ argv });
  } catch (error) {
    const absent = error instanceof CommandError && ['exit', 'spawn'].includes(error.reason);
    if (!absent) throw error;
  }
}

async function removeEmptyFolder(host: Host, folder: string): Promise<void> {
  const found = await host.stat(folder);
  if (found?.type !== 'directory' || (await host.list(folder)).length > 0) return;
  await host.remove(folder, { recursive: true });
}
