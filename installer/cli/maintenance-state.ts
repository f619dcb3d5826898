import type { Host } from '../host/host.ts';
import { type Maintenance, maintenanceFiles } from '../model/maintenance.ts';
import type { Paths } from '../model/paths.ts';

/** What is closed now; undefined when nothing is. */
export async function maintenanceState(host: Host, paths: Paths): Promise<Maintenance | undefined> {
  const files = maintenanceFiles(paths);
  const [all, services, guests] = await Promise.all([
    host.stat(files.all),
    host.list(files.services),
    host.read(files.guests),
  ]);
  if (all === undefined && services.length === 0) return undefined;
  const addresses = new TextDecoder().decode(guests).split('\n');
  return { all: all !== undefined, services, guests: addresses.filter((line) => line !== '') };
}

export function maintenanceText({ all, services }: Pick<Maintenance, 'all' | 'services'>): string {
  const what = all ? 'everything' : services.join(', ');
  return `maintenance is on for ${what}; end it with: holdfast maintenance off`;
}
