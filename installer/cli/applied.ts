import { damagedFile, isDamaged } from '../apply/damaged-file.ts';
import { recordedProject } from '../apply/project-record.ts';
import { isRecord } from '../config/is-record.ts';
import { loadConfig } from '../config/load.ts';
import { AppError } from '../errors.ts';
import type { Host } from '../host/host.ts';
import type { AgentSettings } from '../model/agent-settings.ts';
import type { BackupSettings } from '../model/backup-settings.ts';
import type { Paths } from '../model/paths.ts';

/**
 * The settings of the last apply, which is what runs; a config that is being edited does not count yet.
 * @throws AppError `usage/nothing-applied` before the first apply, `drift/file-damaged`
 */
export async function appliedAgentSettings(host: Host, paths: Paths): Promise<AgentSettings> {
  return (await readApplied(host, `${paths.stack}/agent/agent.json`)) as AgentSettings;
}

/** @throws AppError `usage/nothing-applied` before the first apply, `drift/file-damaged` */
export async function appliedBackupSettings(host: Host, paths: Paths): Promise<BackupSettings> {
  return (await readApplied(host, `${paths.stack}/agent/backup.json`)) as BackupSettings;
}

/**
 * The project that is on a server, also after an uninstall, finished or killed: its volumes carry that name. Where
 * nothing else tells it, the config does, as far as it can be read.
 */
export async function projectOn(host: Host, paths: Paths): Promise<string | undefined> {
  return (
    (await appliedProject(host, paths)) ??
    (await recordedProject(host, paths)) ??
    (await projectOfConfig(host, paths))
  );
}

/** The project that runs on a server; undefined before the first apply, and after an uninstall. */
export async function appliedProject(host: Host, paths: Paths): Promise<string | undefined> {
  try {
    return (await appliedAgentSettings(host, paths)).project;
  } catch (error) {
    if (!isNothingApplied(error)) throw error;
    return undefined;
  }
}

/** As `appliedProject`; undefined also where its file is damaged, so that an apply can put that back. */
export async function readableProject(host: Host, paths: Paths): Promise<string | undefined> {
  try {
    return await appliedProject(host, paths);
  } catch (error) {
    if (!isDamaged(error)) throw error;
    return undefined;
  }
}

async function projectOfConfig(host: Host, paths: Paths): Promise<string | undefined> {
  const bytes = await host.read(paths.config);
  const loaded = bytes === undefined ? undefined : loadConfig(bytes, paths.config);
  return loaded?.ok === true ? loaded.config.project : undefined;
}

export function nothingApplied(host: Host): AppError {
  return new AppError({
    code: 'usage/nothing-applied',
    what: `nothing has been applied to ${host.name} yet`,
    hint: 'holdfast apply',
  });
}

function isNothingApplied(error: unknown): boolean {
  return error instanceof AppError && error.code === 'usage/nothing-applied';
}

async function readApplied(host: Host, path: string): Promise<unknown> {
  const bytes = await host.read(path);
  if (bytes === undefined) throw nothingApplied(host);
  let value: unknown;
  try {
    value = JSON.parse(new TextDecoder().decode(bytes));
  } catch (cause) {
    throw damagedFile(path, cause);
  }
  if (!isRecord(value)) throw damagedFile(path);
  return value;
}
