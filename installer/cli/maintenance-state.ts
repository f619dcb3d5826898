import type { Host } from '../host/host.ts';
import { type Maintenance, maintenanceFiles } from '../model/maintenance.ts';
import type { Paths } from '../model/paths.ts';

/** What is closed now; undefined when nothing is. */
export async function maintenanceState(host: Host, paths: Paths): Promise<Maintenance | undefined> {
  const files = maintenanceFiles(paths);
  const [all, services] = await Promise.all([host.stat(files.all), host.list(files.services)]);
  if (all === undefined && services.length === 0) return undefined;
  return { all: all !== undefined, services };
}

export function maintenanceText({ all, services }: Maintenance): string {
  const what = all ? 'everything' : services.join(', ');
  return `maintenance is on for ${what}; end it with: holdfast maintenance off`;
}
