import { posix } from 'node:path';
import { type ApplyOutcome, apply as applyServer } from '../apply/apply.ts';
import { thisProcess } from '../apply/process-identity.ts';
import type { ClusterVolume } from '../backup/restore/cluster-volume.ts';
import { runBackup } from '../backup/run-backup.ts';
import { env } from '../env.ts';
import { AppError } from '../errors.ts';
import { keepConfig, namedFiles, readKept } from './applied-config.ts';
import { backupContext } from './backup-context.ts';
import { bringCertificates } from './bring-certificates.ts';
import type { CliContext, Server } from './context.ts';
import { frontDoor } from './front-door.ts';
import { prepare } from './prepare.ts';
import type { LoadedConfig } from './read-config.ts';
import { swapVolume } from './restore-cluster.ts';

/** Seconds that a restore waits for an apply which is at work. */
const WAIT_FOR_APPLY = 600;
const CONFIG_FILE = { mode: 0o600, uid: 0, gid: 0 } as const;

/**
 * Brings the stack up around its empty database. A service that does not become healthy without its data stops
 * nothing: it is asked again when the data is there.
 */
export async function firstApply(context: CliContext, server: Server): Promise<void> {
  try {
    await applyServer(...(await keptApply(context, server)));
  } catch (error) {
    if (!(error instanceof AppError) || !error.code.startsWith('health/')) throw error;
    context.report({
      kind: 'warning',
      code: error.code,
      text: `not everything is well before its data is back: ${error.what}`,
    });
  }
}

/** Everything healthy and answering through the front door. @throws AppError class `health` among others */
export async function applyKept(context: CliContext, server: Server): Promise<void> {
  const outcome: ApplyOutcome = await applyServer(...(await keptApply(context, server)));
  await frontDoor(server.host, context).verify(outcome.desired, async () => false);
  await bringCertificates(context, server);
}

async function keptApply(
  context: CliContext,
  server: Server,
): Promise<Parameters<typeof applyServer>> {
  const { paths, signal } = context;
  const { host } = server;
  const loaded = await keptConfig(context, server);
  const { apply, render, keepRendered } = await prepare(context, server, { loaded });
  return [
    apply,
    {
      process: await thisProcess(env.sudoUser ?? env.user ?? 'unknown'),
      command: 'holdfast restore --from',
      waitSeconds: WAIT_FOR_APPLY,
      render,
      interrupt: signal,
      configDigest: async () => loaded.digest,
      confirm: async () => true,
      keepRendered,
      keepConfig: () => keepConfig({ host, paths }, loaded, host),
      verify: frontDoor(host, context).verify,
    },
  ];
}

/** Lets the stack run on a cluster that was rolled forward. */
export async function swapKept(
  context: CliContext,
  server: Server,
  volume: ClusterVolume,
): Promise<{ readonly kept: string }> {
  return await swapVolume(context, await keptConfig(context, server), volume);
}

async function keptConfig({ paths }: CliContext, { host }: Server): Promise<LoadedConfig> {
  const loaded = await readKept(host, paths);
  if (loaded === undefined) throw new Error('the recovery kit held no config');
  return loaded;
}

/**
 * Where a person edits the config: put there when all that it names is small and came with the kit. Else it belongs
 * where its sources are, as after an apply from another machine, and commands go by the kept copy until then.
 * @returns its path, or undefined when it was not put there
 */
export async function placeConfig(
  context: CliContext,
  server: Server,
): Promise<string | undefined> {
  const { host } = server;
  const { paths } = context;
  const loaded = await keptConfig(context, server);
  const there = await host.read(paths.config);
  if (there !== undefined && Buffer.from(there).toString('utf8') === loaded.text) {
    return paths.config;
  }
  if ((await host.stat(paths.config)) !== undefined) {
    const aside = `${paths.config}.before-restore`;
    await host.run({ argv: ['mv', '--no-target-directory', '--', paths.config, aside] });
    context.report({ kind: 'notice', text: `the config that was there is now ${aside}` });
  }
  if (needsSources(loaded)) return undefined;
  const folder = posix.dirname(paths.config);
  for (const name of namedFiles(loaded.config)) {
    const target = posix.resolve(folder, name);
    if ((await host.stat(target)) !== undefined) continue;
    const content = await host.read(loaded.pathOf(name));
    if (content !== undefined) await host.write(target, content, CONFIG_FILE);
  }
  await host.write(paths.config, loaded.text, CONFIG_FILE);
  return paths.config;
}

function needsSources({ config: { services, accessories, sites } }: LoadedConfig): boolean {
  const containers = [...Object.values(services), ...Object.values(accessories)];
  return (
    containers.some(({ build }) => build !== undefined) ||
    Object.values(sites).some(({ image }) => image === undefined)
  );
}

export interface SavedAnew {
  /** Ids of the new backups. */
  readonly backups: readonly string[];
  /** Jobs whose backup did not succeed; the agent tries again. */
  readonly failed: readonly string[];
}

/** A backup of everything that came back. Base backups are begun by the agent, as soon as WAL is received. */
export async function saveAnew(context: CliContext): Promise<SavedAnew> {
  const backup = await backupContext(context);
  const backups: string[] = [];
  const failed: string[] = [];
  for (const { name, method } of backup.settings.jobs) {
    if (method === 'physical') continue;
    try {
      backups.push((await runBackup(backup, name)).id);
    } catch (error) {
      if (!(error instanceof AppError)) throw error;
      if (error.code === 'lock/held') {
        context.report({ kind: 'notice', text: `${name}: the agent makes this backup already` });
        continue;
      }
      failed.push(name);
      context.report({
        kind: 'warning',
        code: error.code,
        text: `${name}: the new backup failed: ${error.message}; holdfast backup run ${name}`,
      });
    }
  }
  return { backups, failed };
}
