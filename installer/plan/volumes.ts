import type { Notice } from '../model/contribution.ts';
import type { Desired } from '../model/desired.ts';
import { engineName } from '../model/stack.ts';
import type { Observed } from './observed.ts';

/** Data that a change leaves behind, and servers that begin without any: neither is seen in a changed definition. */
export function volumeNotices(desired: Desired, observed: Observed): Notice[] {
  const { project, stack, postgresUpgrade } = desired;
  const wanted = Object.keys(stack.volumes).map((name) => engineName(project, name));
  const left = observed.appliedVolumes.filter(
    (name) => observed.volumes.includes(name) && !wanted.includes(name),
  );
  const known = new Set(observed.containers.map(({ service }) => service));
  const empty = Object.entries(stack.services).flatMap(([service, { volumes = [] }]) =>
    volumes
      .filter(
        ({ type, source }) =>
          type === 'volume' &&
          known.has(service) &&
          source !== postgresUpgrade?.to.volume &&
          !observed.volumes.includes(engineName(project, source)),
      )
      .map(({ source, target }) => ({ service, name: engineName(project, source), target })),
  );
  return [
    ...left.map((name) => ({
      code: 'volume/left',
      text: `nothing mounts the volume ${name} any more: it stays with what is in it, and no backup saves it`,
    })),
    ...empty.map(({ service, name, target }) => ({
      code: 'volume/empty',
      text: `the volume ${name} is new: ${service} begins with nothing in ${target}`,
    })),
  ];
}
