import type { Collected } from '../components/component.ts';
import type { Contribution } from '../model/contribution.ts';

/** The sum of contributions, in the order given. A key that two of them claim is a bug of ours. */
export function mergeContributions(contributions: readonly Contribution[]): Collected {
  const list = <K extends keyof Contribution>(key: K) =>
    contributions.flatMap((contribution) => (contribution[key] as readonly unknown[]) ?? []);
  return {
    fragments: list('fragments'),
    files: list('files'),
    directories: list('directories'),
    secrets: list('secrets'),
    secretEnvironment: mergeRecords(contributions.map((each) => each.secretEnvironment ?? {})),
    httpChecks: list('httpChecks'),
    portChecks: list('portChecks'),
    migrations: list('migrations'),
    seeds: list('seeds'),
    images: list('images'),
    reloads: mergeRecords(contributions.map((each) => each.reloads ?? {})),
    validators: list('validators'),
    provisions: list('provisions'),
    databases: list('databases'),
    redisClients: list('redisClients'),
    routes: list('routes'),
    sites: list('sites'),
    siteHosts: list('siteHosts'),
    rolled: list('rolled'),
    standIns: list('standIns'),
    scrapes: list('scrapes'),
    alerts: list('alerts'),
    dashboards: list('dashboards'),
    backups: list('backups'),
    unbackedVolumes: list('unbackedVolumes'),
    probes: list('probes'),
    jobs: list('jobs'),
    notices: list('notices'),
  } as Collected;
}

export function mergeRecords<T>(
  records: readonly Readonly<Record<string, T>>[],
): Record<string, T> {
  const merged: Record<string, T> = {};
  for (const record of records) {
    for (const [key, value] of Object.entries(record)) {
      if (key in merged) throw new Error(`two components claim ${key}`);
      merged[key] = value;
    }
  }
  return merged;
}
