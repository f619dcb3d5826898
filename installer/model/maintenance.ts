import { posix } from 'node:path';
import type { Paths } from './paths.ts';

/**
 * What is closed for maintenance: files below the folder that nginx mounts, so that it takes no reload.
 * None of them is in the manifest: an apply leaves them as they are.
 */
export interface MaintenanceFiles {
  readonly folder: string;
  readonly all: string;
  /** One file for each closed service, with its name. */
  readonly services: string;
  /** Addresses that see the product all the same, one on each line. */
  readonly guests: string;
  readonly page: string;
}

export function maintenanceFiles(paths: Paths): MaintenanceFiles {
  const folder = posix.join(paths.stack, 'nginx/maintenance');
  const at = (name: string): string => posix.join(folder, name);
  return {
    folder,
    all: at('all.on'),
    services: at('services'),
    // Not `guests`: a folder of that name is what earlier versions left.
    guests: at('guests.list'),
    page: at('page.html'),
  };
}

export interface Maintenance {
  readonly all: boolean;
  readonly services: readonly string[];
  readonly guests: readonly string[];
}
