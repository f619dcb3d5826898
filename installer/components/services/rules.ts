import { posix } from 'node:path';
import { error, type Finding, type PathStep } from '../rules/finding.ts';
import type { Rule } from '../rules/rule.ts';
import type { VolumeSpec } from './container-section.ts';
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

/** Each volume stands where the engine can put it, and where no other one is. */
export const mountsFit: Rule = function* ({ file, merged }) {
  for (const [name, { volumes = [] }] of Object.entries(merged)) {
    yield* mountProblems(volumes, ['services', name, 'volumes']);
  }
  for (const [name, { volumes }] of Object.entries(file.accessories)) {
    yield* mountProblems(volumes, ['accessories', name, 'volumes']);
  }
};

/** The container's own view of the kernel, and its secrets. */
const TAKEN_FOLDER = /^\/(?:proc|sys|dev|run\/secrets)(?:\/|$)/;

function* mountProblems(
  volumes: readonly VolumeSpec[],
  path: readonly PathStep[],
): Generator<Finding> {
  const taken = new Set<string>();
  for (const [index, { mount }] of volumes.entries()) {
    const place = posix.normalize(mount).replace(/(?<=.)\/$/, '');
    const at = [...path, index, 'mount'];
    if (place === '/' || TAKEN_FOLDER.test(place)) {
      const message = `no volume can be at ${place}: choose a folder of the program`;
      yield error('reserved-mount', at, message);
    } else if (taken.has(place)) {
      yield error('duplicate-mount', at, `another volume is at ${place} already`);
    }
    taken.add(place);
  }
}
