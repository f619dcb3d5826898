import { maintenanceFiles } from '../../installer/model/maintenance.ts';
import type { Paths } from '../../installer/model/paths.ts';
import { fs } from '../builtins.ts';

/** Whether anything is closed for maintenance. */
export function isMaintenance(paths: Paths): boolean {
  const { all, services } = maintenanceFiles(paths);
  if (fs.existsSync(all)) return true;
  return fs.existsSync(services) && fs.readdirSync(services).length > 0;
}
