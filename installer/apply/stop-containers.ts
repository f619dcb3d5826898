import { AppError } from '../errors.ts';
import { LABELS } from '../model/labels.ts';
import type { Run } from './run.ts';

type EngineContext = Pick<Run, 'host' | 'engine' | 'project'>;

/** Lets them end in their own time; those that are gone meanwhile do not count. */
export async function stopContainers(
  context: EngineContext,
  ids: readonly string[],
): Promise<void> {
  const there = await present(context, ids);
  if (there.length === 0) return;
  await context.host.run({ argv: ['docker', 'container', 'stop', ...there], okExitCodes: [0, 1] });
}

export async function stopAndRemove(context: EngineContext, ids: readonly string[]): Promise<void> {
  // Stop gives a database its time to close its files; `rm --force` alone would kill it.
  await stopContainers(context, ids);
  const there = await present(context, ids);
  if (there.length === 0) return;
  await context.host.run({
    argv: ['docker', 'container', 'rm', '--force', ...there],
    okExitCodes: [0, 1],
  });
  const left = await present(context, ids);
  if (left.length === 0) return;
  throw new AppError({
    code: 'engine/container-stays',
    what: `the engine does not remove the containers ${left.join(', ')}`,
    hint: `run \`docker container rm --force ${left.join(' ')}\` to see why, then the same holdfast command again`,
  });
}

async function present(
  { engine, project }: EngineContext,
  ids: readonly string[],
): Promise<string[]> {
  const all = await engine.containers({ [LABELS.project]: project });
  return all.map(({ id }) => id).filter((id) => ids.includes(id));
}
