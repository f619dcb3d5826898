import { type Run, serviceContainers } from '../apply/run.ts';
import type { Operation } from '../model/operation.ts';
import { retire } from './release.ts';

/** Stops what a killed deploy left running of a release that does not serve. */
export async function retireRelease(
  run: Run,
  { service, containers }: Extract<Operation, { kind: 'retire-release' }>,
): Promise<void> {
  const all = await serviceContainers(run, [service]);
  await retire(
    run,
    all.filter(({ id }) => containers.includes(id)),
  );
}
