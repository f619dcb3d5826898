import { AppError } from '../errors.ts';
import type { Host } from '../host/host.ts';
import type { AgentSettings } from '../model/agent-settings.ts';
import type { BackupSettings } from '../model/backup-settings.ts';
import type { Paths } from '../model/paths.ts';

/**
 * The settings of the last apply, which is what runs; a config that is being edited does not count yet.
 * @throws AppError `usage/nothing-applied` before the first apply
 */
export async function appliedAgentSettings(host: Host, paths: Paths): Promise<AgentSettings> {
  return (await readApplied(host, `${paths.stack}/agent/agent.json`)) as AgentSettings;
}

/** @throws AppError `usage/nothing-applied` before the first apply */
export async function appliedBackupSettings(host: Host, paths: Paths): Promise<BackupSettings> {
  return (await readApplied(host, `${paths.stack}/agent/backup.json`)) as BackupSettings;
}

async function readApplied(host: Host, path: string): Promise<unknown> {
  const bytes = await host.read(path);
  if (bytes === undefined) {
    throw new AppError({
      code: 'usage/nothing-applied',
      what: `nothing has been applied to ${host.name} yet`,
      hint: 'holdfast apply',
    });
  }
  return JSON.parse(new TextDecoder().decode(bytes));
}
