import type { ApplyContext } from '../apply/context.ts';
import { SYSTEM_CLOCK } from '../apply/context.ts';
import { AppError } from '../errors.ts';
import { SecretStore } from '../secrets/store.ts';
import { appliedAgentSettings, nothingApplied, projectOn } from './applied.ts';
import type { CliContext, Server } from './context.ts';

/**
 * For commands that change what was applied without a config: no image is made by them.
 * @throws AppError `usage/nothing-applied`
 */
export async function appliedContext(context: CliContext, server: Server): Promise<ApplyContext> {
  const { project } = await appliedAgentSettings(server.host, context.paths);
  return contextOf(context, server, project);
}

/**
 * For commands that deal with what an uninstall has left as well, its volumes above all.
 * @throws AppError `usage/nothing-applied`
 */
export async function leftoverContext(context: CliContext, server: Server): Promise<ApplyContext> {
  const project = await projectOn(server.host, context.paths);
  if (project === undefined) throw nothingApplied(server.host);
  return contextOf(context, server, project);
}

function contextOf(
  { paths, report }: CliContext,
  { host, engine }: Server,
  project: string,
): ApplyContext {
  const makesNoImages = async (): Promise<never> => {
    throw new AppError({
      code: 'bug/image-without-config',
      what: 'a command without a config tried to make an image',
      hint: 'holdfast apply',
    });
  };
  return {
    host,
    engine,
    paths,
    project,
    report,
    secrets: new SecretStore(host, paths),
    images: { bake: makesNoImages, pull: makesNoImages, build: makesNoImages },
    releases: { fill: makesNoImages },
    clock: SYSTEM_CLOCK,
  };
}
