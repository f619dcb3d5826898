import { rm } from 'node:fs/promises';
import { posix } from 'node:path';
import type { BackupContext } from '../context.ts';
import { removeHelpers } from '../helper-container.ts';
import { drillProject } from './drill-stack.ts';

export const DRILL_TASK = 'drill';

/** Folder of this machine for the files of a drill: its compose file with secrets, its WAL. */
export function drillFolder({ paths }: Pick<BackupContext, 'paths'>): string {
  return posix.join(paths.agent, 'drill');
}

/** Removes all of a drill, however it ended: by what compose and we wrote on it, so that no file is needed. */
export async function removeDrill(context: BackupContext): Promise<void> {
  const { host, engine, settings } = context;
  const filter = `label=com.docker.compose.project=${drillProject(settings.project)}`;
  const remove = async (list: readonly string[], command: readonly string[]): Promise<void> => {
    const { stdout } = await host.run({ argv: ['docker', ...list, '--quiet', '--filter', filter] });
    const ids = stdout.split('\n').filter((id) => id !== '');
    if (ids.length > 0) await host.run({ argv: ['docker', ...command, ...ids] });
  };
  await removeHelpers(host, engine, settings.project, DRILL_TASK);
  await remove(['ps', '--all'], ['rm', '--force', '--volumes']);
  await remove(['volume', 'ls'], ['volume', 'rm', '--force']);
  await remove(['network', 'ls'], ['network', 'rm']);
  await rm(drillFolder(context), { recursive: true, force: true });
}
