import { AppError } from '../errors.ts';
import type { Host } from '../host/host.ts';
import type { Paths } from '../model/paths.ts';
import { readableProject } from './applied.ts';

/**
 * What is on a server goes by the name of its project: another one would come up empty beside it and take its place.
 * @throws AppError `config/other-project`
 */
export async function refuseOtherProject(host: Host, paths: Paths, wanted: string): Promise<void> {
  const applied = await readableProject(host, paths);
  if (applied === undefined || applied === wanted) return;
  throw new AppError({
    code: 'config/other-project',
    what: `${host.name} runs the project ${applied}, and this config is of the project ${wanted}`,
    why: `containers, networks and volumes go by that name, which is the first part of \`domain\` unless \`project\` says it: ${wanted} would begin without the data of ${applied}. Nothing was changed`,
    hint: `to keep what is there, write \`project: ${applied}\` into the config; to give it up, \`holdfast uninstall\` with the config of before`,
    details: { applied, wanted },
  });
}
