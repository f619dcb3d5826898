import type { Contribution } from '../../model/contribution.ts';
import { engineName } from '../../model/stack.ts';
import type { Service } from '../rules/resolved.ts';
import type { Config } from '../sections.ts';

/** Names of the volumes of the platform's own servers; a rule keeps services off them. */
export const PLATFORM_VOLUME = /^(?:postgres|redis|prometheus|grafana|nginx|alertmanager)-data$/;

/** Names of all volumes, each once: one that two services name is one volume. */
export function volumeNames(services: readonly Pick<Service, 'volumes'>[]): string[] {
  return [...new Set(services.flatMap(({ volumes }) => volumes.map(({ name }) => name)))];
}

/** Which volumes a backup job covers, and why the others are not backed up. */
export function volumesOf(
  config: Config,
  all: readonly Service[],
): Pick<Contribution, 'backups' | 'unbackedVolumes'> {
  const jobs = config.backups.jobs.flatMap(({ source }) =>
    source.kind === 'volume' ? [source.name] : [],
  );
  // A volume that two services share is one volume; it is read through the first of them.
  const owners = new Map<string, string>();
  for (const { name, volumes } of all) {
    for (const volume of volumes) {
      if (!owners.has(volume.name)) owners.set(volume.name, name);
    }
  }
  const volumes = [...owners];
  return {
    backups: volumes
      .filter(([name]) => jobs.includes(name))
      .map(([name, service]) => ({
        kind: 'volume',
        name,
        volume: engineName(config.project, name),
        service,
      })),
    unbackedVolumes: volumes
      .filter(([name]) => !jobs.includes(name))
      .map(([volume]) => ({ volume, reason: 'backup: false in the config' })),
  };
}
