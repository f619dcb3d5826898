import type { Config } from '../sections.ts';
import { error, type Finding } from './finding.ts';

/** A rule about facts, as that of memory is: the engine makes no container that may take more than there is. */
export function cpuProblems(config: Config, cores: number): readonly Finding[] {
  return (['services', 'accessories'] as const).flatMap((section) =>
    Object.entries(config[section]).flatMap(([name, { resources }]) => {
      if (resources.cpus === undefined || resources.cpus <= cores) return [];
      const path = [section, name, 'resources', 'cpus'];
      return [error('cpus', path, `${path.join('.')} is ${resources.cpus}`)];
    }),
  );
}
