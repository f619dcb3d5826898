import { DEFAULT_PIDS_LIMIT, RESTART_POLICY, type StackService } from '../model/stack.ts';
import type { ObservedContainer } from './observed.ts';

/** What `docker update` changed of a container behind our back: its label of the definition stays as it was. */
export function alterations(
  { mem_limit, cpus = 0, pids_limit = DEFAULT_PIDS_LIMIT }: StackService,
  { memoryLimit, updatable }: Pick<ObservedContainer, 'memoryLimit' | 'updatable'>,
): string[] {
  const altered: [string, boolean][] = [
    ['memory limit', memoryLimit !== mem_limit],
    ['CPU limit', isOther(updatable?.cpus, cpus)],
    ['limit of processes', isOther(updatable?.pids, pids_limit)],
    ['restart policy', isOther(updatable?.restart, RESTART_POLICY)],
  ];
  return altered.flatMap(([what, isAltered]) => (isAltered ? [what] : []));
}

function isOther<T>(found: T | undefined, wanted: T): boolean {
  return found !== undefined && found !== wanted;
}
