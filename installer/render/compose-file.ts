import type { RolledService } from '../model/contribution.ts';
import { SLOTS, slotName } from '../model/edge-state.ts';
import { LABELS } from '../model/labels.ts';
import type { Secret } from '../model/secret.ts';
import {
  DEFAULT_PIDS_LIMIT,
  engineName,
  RESTART_POLICY,
  type Stack,
  type StackService,
} from '../model/stack.ts';

/** The compose file of a stack. Deterministic: the same stack gives the same bytes. */
export function composeText(
  stack: Stack,
  specs: ReadonlyMap<string, string>,
  rolled: ReadonlyMap<string, RolledService> = new Map(),
): string {
  const labels = { [LABELS.project]: stack.project };
  const services: Record<string, object> = {};
  for (const [name, service] of Object.entries(stack.services)) {
    const own = composeService(service, { ...labels, [LABELS.spec]: specs.get(name) ?? '' });
    const rolling = rolled.get(name);
    if (rolling === undefined) services[name] = own;
    else Object.assign(services, rolledServices(own, service, rolling));
  }
  const file = {
    name: stack.project,
    services: sortedMap(services, (service) => service),
    // Ours, not compose's: it would recreate what stands on a network that differs from its file.
    networks: sortedMap(stack.networks, (_network, name) => ({
      name: engineName(stack.project, name),
      external: true,
    })),
    volumes: sortedMap(stack.volumes, (volume, name) => ({
      name: engineName(stack.project, name),
      labels: { ...labels, [LABELS.component]: volume.component },
    })),
  };
  return `# Written by holdfast from config.yaml. Edit that and run: holdfast apply\n${yaml(escapeDollars(file))}`;
}

/** The file that compose merges over the first: environment values that are secret, and nothing else. */
export function composeSecretsText(
  environment: Readonly<Record<string, Readonly<Record<string, Secret>>>>,
  rolled: ReadonlyMap<string, RolledService> = new Map(),
): string {
  const everywhere = Object.entries(environment).flatMap(([name, values]) =>
    [name, ...(rolled.has(name) ? SLOTS.map((slot) => slotName(name, slot)) : [])].map(
      (service) => [service, values] as const,
    ),
  );
  const services = sortedMap(Object.fromEntries(everywhere), (values) => ({
    environment: sortedMap(values, (secret) => secret.reveal()),
  }));
  return yaml(escapeDollars({ services }));
}

/**
 * A definition that starts nothing by itself, and the two sets of containers made from it. Peers find a set by
 * the name of the service only once it is healthy, so that name is no alias of it on their networks at first.
 */
function rolledServices(
  own: object,
  { networks }: StackService,
  { service, peerNetworks }: RolledService,
): Record<string, object> {
  const named = sortedMap(networks, (_none, name) =>
    peerNetworks.includes(name) ? null : { aliases: [service] },
  );
  const slots = SLOTS.map((slot) => [
    slotName(service, slot),
    {
      extends: { service },
      labels: { [LABELS.service]: service, [LABELS.slot]: slot },
    },
  ]);
  return {
    [service]: { ...own, profiles: ['release'], networks: named },
    ...Object.fromEntries(slots),
  };
}

function composeService(service: StackService, labels: Record<string, string>): object {
  const { secrets = [], volumes = [], cap_add, pids_limit, read_only, scale, ...rest } = service;
  return {
    ...rest,
    ...(rest.network_mode === undefined ? {} : { networks: undefined }),
    scale: scale ?? 1,
    volumes: [
      ...volumes,
      ...secrets.map(({ file, target }) => ({
        type: 'bind',
        source: file,
        target,
        read_only: true,
        bind: { create_host_path: false },
      })),
    ],
    labels: { ...rest.labels, ...labels },
    restart: RESTART_POLICY,
    read_only: read_only ?? true,
    pids_limit: pids_limit ?? DEFAULT_PIDS_LIMIT,
    cap_drop: ['ALL'],
    ...(cap_add === undefined ? {} : { cap_add }),
    security_opt: ['no-new-privileges:true'],
    logging: { driver: 'json-file', options: { 'max-size': '10m', 'max-file': '3' } },
  };
}

/** Compose replaces `$NAME` in every value; `$$` stands for one dollar sign. */
function escapeDollars(value: unknown): unknown {
  if (typeof value === 'string') return value.replaceAll('$', '$$$$');
  if (Array.isArray(value)) return value.map(escapeDollars);
  if (value !== null && typeof value === 'object') {
    return Object.fromEntries(
      Object.entries(value).map(([key, entry]) => [key, escapeDollars(entry)]),
    );
  }
  return value;
}

function sortedMap<T, R>(
  record: Readonly<Record<string, T>>,
  map: (value: T, key: string) => R,
): Record<string, R> {
  const keys = Object.keys(record).sort();
  return Object.fromEntries(keys.map((key) => [key, map(record[key] as T, key)]));
}

/** Block YAML with JSON scalars: readable in a diff, and no value can be taken for another type. */
function yaml(value: unknown, indent = ''): string {
  if (!isBlock(value)) return `${scalar(value)}\n`;
  const entries: [string, unknown][] = Array.isArray(value)
    ? value.map((entry) => ['-', entry])
    : Object.entries(value).flatMap(([key, entry]) =>
        entry === undefined ? [] : [[`${yamlKey(key)}:`, entry]],
      );
  return entries
    .map(([head, entry]) => {
      if (!isBlock(entry)) return `${indent}${head} ${scalar(entry)}\n`;
      if (head === '-') {
        const block = yaml(entry, `${indent}  `);
        return `${indent}- ${block.slice(indent.length + 2)}`;
      }
      return `${indent}${head}\n${yaml(entry, `${indent}  `)}`;
    })
    .join('');
}

/** Characters that JSON lets stand, and that YAML refuses or takes for the end of a line. */
const NOT_IN_YAML = /[\u007f-\u009f\u2028\u2029\ufeff\ufffe\uffff]/g;

function scalar(value: unknown): string {
  return JSON.stringify(value).replace(
    NOT_IN_YAML,
    (character) => `\\u${character.charCodeAt(0).toString(16).padStart(4, '0')}`,
  );
}

function isBlock(value: unknown): value is object {
  return value !== null && typeof value === 'object' && Object.keys(value).length > 0;
}

function yamlKey(key: string): string {
  return /^[A-Za-z_][A-Za-z0-9_-]*$/.test(key) &&
    !/^(y|n|yes|no|on|off|true|false|null)$/i.test(key)
    ? key
    : scalar(key);
}
