import type { Declared } from './rule.ts';

/** Reads the names out of plain values of any shape: the file may be faulty. */
export function declaredNames(value: unknown): Declared {
  const containers = ['services', 'accessories', 'profiles'].flatMap((section) => {
    return Object.values(asRecord(get(value, section)));
  });
  const uses = containers.flatMap((container) => asList(get(container, 'uses')));
  const downloads = Object.values(asRecord(get(value, 'sites'))).map((site) =>
    get(get(site, 'downloads'), 'volume'),
  );
  const rateLimits = namesOf(get(get(value, 'http'), 'rateLimits'));
  return {
    profiles: keys(get(value, 'profiles')),
    services: keys(get(value, 'services')),
    sites: keys(get(value, 'sites')),
    accessories: keys(get(value, 'accessories')),
    providers: ['local', ...keys(get(get(value, 'storage'), 'providers'))],
    buckets: keys(get(get(value, 'storage'), 'buckets')),
    rateLimits,
    jobs: namesOf(get(get(value, 'backups'), 'jobs')),
    nodes: namesOf(get(value, 'nodes')),
    volumes: [
      ...containers.flatMap((container) => namesOf(get(container, 'volumes'))),
      ...downloads.filter((name) => typeof name === 'string'),
    ],
    postgres: get(value, 'postgres') !== undefined || uses.includes('postgres'),
    redis: get(value, 'redis') !== undefined || uses.includes('redis') || rateLimits.length > 0,
  };
}

function get(value: unknown, key: string): unknown {
  const record = asRecord(value);
  return Object.hasOwn(record, key) ? record[key] : undefined;
}

function asRecord(value: unknown): Readonly<Record<string, unknown>> {
  const isMapping = typeof value === 'object' && value !== null && !Array.isArray(value);
  return isMapping ? (value as Readonly<Record<string, unknown>>) : {};
}

function asList(value: unknown): readonly unknown[] {
  return Array.isArray(value) ? value : [];
}

function keys(value: unknown): readonly string[] {
  return Object.keys(asRecord(value));
}

function namesOf(value: unknown): readonly string[] {
  return asList(value).flatMap((item) => {
    const name = get(item, 'name');
    return typeof name === 'string' ? [name] : [];
  });
}
