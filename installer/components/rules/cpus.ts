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

/** The same config where nothing may take more than the machine has. */
export function withinCores(config: Config, cores: number): Config {
  const { services, accessories } = config;
  return {
    ...config,
    services: limited(services, cores),
    accessories: limited(accessories, cores),
  };
}

function limited<T extends { readonly resources: { readonly cpus: number | undefined } }>(
  containers: Readonly<Record<string, T>>,
  cores: number,
): Record<string, T> {
  return Object.fromEntries(
    Object.entries(containers).map(([name, container]) => {
      const { cpus } = container.resources;
      if (cpus === undefined || cpus <= cores) return [name, container];
      return [name, { ...container, resources: { ...container.resources, cpus: cores } }];
    }),
  );
}
