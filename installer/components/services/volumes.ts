import type { BackupSource } from '../../model/backup-settings.ts';
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

/** How whoever writes to a volume is held still while it is read, if anybody who mounts it says so. */
export function calmOf(
  name: string,
  all: readonly Pick<Service, 'volumes'>[],
): Pick<Extract<BackupSource, { kind: 'volume' }>, 'calm'> {
  const mounted = all.flatMap(({ volumes }) => volumes.filter((one) => one.name === name));
  for (const { backup } of mounted.reverse()) {
    if (typeof backup !== 'object') continue;
    const { pause, pauseLimit, before, after } = backup;
    return {
      calm: {
        ...(pause === true ? { pause } : {}),
        ...(pause === true && pauseLimit !== undefined ? { pauseSeconds: pauseLimit } : {}),
        ...(before === undefined ? {} : { before }),
        ...(after === undefined ? {} : { after }),
      },
    };
  }
  return {};
}

/** Which volumes of services a backup job covers, and why the others are not backed up. */
export function volumesOf(config: Config): Pick<Contribution, 'backups' | 'unbackedVolumes'> {
  const services = Object.values(config.services);
  // An accessory that mounts a service's volume too may be the one whose files have to lie still.
  const all = [...services, ...Object.values(config.accessories)];
  const own = volumeNames(services);
  const jobs = config.backups.jobs.flatMap(({ source }) =>
    source.kind === 'volume' ? [source.name] : [],
  );
  // A volume that two of them share is one volume: of the one that says how it is held still, else of the first.
  const owners = new Map<string, string>();
  for (const { name, volumes } of all) {
    for (const volume of volumes) {
      const saysHow = typeof volume.backup === 'object';
      if (saysHow || !owners.has(volume.name)) owners.set(volume.name, name);
    }
  }
  const volumes = [...owners].filter(([name]) => own.includes(name));
  return {
    backups: volumes
      .filter(([name]) => jobs.includes(name))
      .map(([name, service]) => ({
        kind: 'volume',
        name,
        volume: engineName(config.project, name),
        service,
        ...calmOf(name, all),
      })),
    unbackedVolumes: volumes
      .filter(([name]) => !jobs.includes(name))
      .map(([volume]) => ({ volume, reason: 'backup: false in the config' })),
  };
}
