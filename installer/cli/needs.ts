import type { Component } from '../components/component.ts';
import type { Config } from '../components/sections.ts';
import type { HostNeed } from '../model/host-need.ts';
import type { ImageNeed } from '../model/images.ts';
import type { SecretNeed } from '../model/secret-need.ts';

export interface AllNeeds {
  readonly images: readonly ImageNeed[];
  /** One entry a name; `usedBy` lists everybody who asks. */
  readonly secrets: readonly SecretNeed[];
  /** Sorted by name, each once. */
  readonly hosts: readonly HostNeed[];
}

/** What all enabled components need before they can contribute. */
export function allNeeds(components: readonly Component[], config: Config): AllNeeds {
  const needs = components
    .filter((component) => component.enabled(config))
    .map((component) => component.needs?.(config) ?? {});
  const images = new Map<string, ImageNeed>();
  for (const need of needs.flatMap(({ images = [] }) => images)) images.set(need.image, need);
  return {
    images: [...images.values()],
    secrets: mergeSecrets(needs.flatMap(({ secrets = [] }) => secrets)),
    hosts: mergeHosts(needs.flatMap(({ hosts = [] }) => hosts)),
  };
}

/** A name that anybody wrote is asked for. */
function mergeHosts(needs: readonly HostNeed[]): HostNeed[] {
  const names = [...new Set(needs.map(({ host }) => host))].sort();
  return names.map((host) => {
    const own = needs.filter((need) => need.host === host);
    const usedBy = [...new Set(own.map((need) => need.usedBy))].join(', ');
    const isUnasked = own.every((need) => need.isUnasked);
    return { host, usedBy, ...(isUnasked ? { isUnasked } : {}) };
  });
}

/** A secret is optional only when nobody insists on it, and generated when anybody knows how. */
function mergeSecrets(needs: readonly SecretNeed[]): SecretNeed[] {
  const merged = new Map<string, SecretNeed>();
  for (const need of needs) {
    const known = merged.get(need.name);
    if (known === undefined) {
      merged.set(need.name, need);
      continue;
    }
    const generate = known.generate ?? need.generate;
    merged.set(need.name, {
      name: need.name,
      optional: known.optional && need.optional,
      usedBy: known.usedBy.split(', ').includes(need.usedBy)
        ? known.usedBy
        : `${known.usedBy}, ${need.usedBy}`,
      ...(generate === undefined ? {} : { generate }),
    });
  }
  return [...merged.values()].sort((a, b) => (a.name < b.name ? -1 : 1));
}
