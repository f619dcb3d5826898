import { error } from '../rules/finding.ts';
import type { Rule } from '../rules/rule.ts';
import { PLATFORM_VOLUME } from './volumes.ts';

/** No service mounts the data of one of the platform's servers. */
export const volumesAreTheirOwn: Rule = function* ({ file }) {
  for (const section of ['services', 'accessories', 'profiles'] as const) {
    for (const [name, entry] of Object.entries(file[section])) {
      for (const [index, volume] of (entry.volumes ?? []).entries()) {
        if (!PLATFORM_VOLUME.test(volume.name)) continue;
        const message = `${volume.name} is a volume of the platform: choose another name`;
        yield error('reserved-volume', [section, name, 'volumes', index, 'name'], message);
      }
    }
  }
};
