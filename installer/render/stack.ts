import { createHash } from 'node:crypto';
import { parse } from 'yaml';
import type { Fragment } from '../model/contribution.ts';
import { LABELS } from '../model/labels.ts';
import type { Secret } from '../model/secret.ts';
import type { Stack, StackFragment, StackService } from '../model/stack.ts';
import { mergeRecords } from './merge.ts';
import { allocateSubnets } from './subnets.ts';
import { type Assets, renderTemplate } from './template.ts';

/** Renders and merges the compose fragments of all components. */
export function buildStack(
  project: string,
  fragments: readonly Fragment[],
  knownSubnets: Readonly<Record<string, string>>,
  assets: Assets,
): Stack {
  const parts = fragments.map(({ component, template, data }) => {
    const text = renderTemplate(assets, `compose/${template}`, data, 'yaml');
    return { component, part: (parse(text) ?? {}) as StackFragment };
  });
  const services = mergeRecords(
    parts.map(({ component, part }) =>
      mapRecord(
        part.services ?? {},
        (service): StackService => ({
          ...service,
          labels: { ...service.labels, [LABELS.component]: component },
        }),
      ),
    ),
  );
  const internal: Record<string, boolean> = {};
  for (const { part } of parts) {
    for (const [name, network] of Object.entries(part.networks ?? {})) {
      if ((internal[name] ?? network.internal) !== network.internal) {
        throw new Error(`components disagree whether network ${name} is internal`);
      }
      internal[name] = network.internal;
    }
  }
  const subnets = allocateSubnets(Object.keys(internal), knownSubnets);
  return {
    project,
    services,
    networks: mapRecord(internal, (isInternal, name) => ({
      internal: isInternal,
      subnet: subnets[name] ?? '',
    })),
    volumes: Object.assign(
      {},
      ...parts.map(({ component, part }) => mapRecord(part.volumes ?? {}, () => ({ component }))),
    ),
  };
}

/**
 * sha256 of everything that a container of the service is made from. Not the number of replicas, and of the networks,
 * which it joins and leaves while it runs, only those on which its address is fixed.
 * It becomes the container's label, so that a later plan sees by itself what differs.
 */
export function specDigest(
  service: StackService,
  secretEnvironment: Readonly<Record<string, Secret>> | undefined,
): string {
  const { scale: _scale, depends_on: _order, networks, ...made } = service;
  const fixed = Object.entries(networks).filter(([, options]) => options !== null);
  const addresses = fixed.length === 0 ? {} : { addresses: Object.fromEntries(fixed) };
  const secrets = mapRecord(secretEnvironment ?? {}, (secret) => secret.reveal());
  return createHash('sha256')
    .update(canonicalJson({ made, secrets, ...addresses }))
    .digest('hex');
}

function canonicalJson(value: unknown): string {
  return JSON.stringify(value, (_key, entry: unknown) =>
    entry !== null && typeof entry === 'object' && !Array.isArray(entry)
      ? Object.fromEntries(Object.entries(entry).sort(([a], [b]) => (a < b ? -1 : 1)))
      : entry,
  );
}

function mapRecord<T, R>(
  record: Readonly<Record<string, T>>,
  map: (value: T, key: string) => R,
): Record<string, R> {
  return Object.fromEntries(Object.entries(record).map(([key, value]) => [key, map(value, key)]));
}
