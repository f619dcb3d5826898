import type { LockFile } from '../../model/lock-file.ts';
import type { Service } from '../rules/resolved.ts';
import type { Config } from '../sections.ts';

type Scales = LockFile['scales'];

/** How many replicas shall run: the recorded number, as far as the config still allows it. */
export function wantedReplicas({ name, replicas }: Service, scales: Scales): number {
  const { min, max } = replicas;
  return Math.min(max, Math.max(min, scales?.[name] ?? min));
}

/** What is worth keeping of recorded numbers under this config: those above the least. */
export function keptScales({ services }: Config, scales: Scales): Pick<LockFile, 'scales'> {
  const kept = Object.values(services).flatMap((service) => {
    const wanted = wantedReplicas(service, scales);
    return wanted === service.replicas.min ? [] : [[service.name, wanted] as const];
  });
  return kept.length === 0 ? {} : { scales: Object.fromEntries(kept) };
}
