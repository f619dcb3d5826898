import type { Config } from '../components/sections.ts';
import { databaseClient } from '../components/services/clients.ts';
import { AppError } from '../errors.ts';
import type { Host } from '../host/host.ts';
import type { Notice } from '../model/contribution.ts';
import type { Paths } from '../model/paths.ts';
import { readOtherKept } from './applied-config.ts';
import type { LoadedConfig } from './read-config.ts';

interface Move {
  readonly service: string;
  readonly from: string;
  readonly to: string;
}

/**
 * Services that the config moves to another database than the one that holds their data.
 * @returns what the plan says of moves that are written at the service itself
 * @throws AppError `config/other-database` where it comes of something else
 */
export async function databaseNotices(
  host: Host,
  paths: Paths,
  loaded: Pick<LoadedConfig, 'config' | 'text'>,
): Promise<readonly Notice[]> {
  const { config } = loaded;
  const moves = movesBetween(await appliedConfig(host, paths, loaded), config);
  const silent = moves.filter(({ service }) => config.services[service]?.database === undefined);
  if (silent.length > 0) throw otherDatabase(silent);
  return moves.map(({ service, from, to }) => ({
    code: 'config/other-database',
    text: `services.${service}: from the database ${from} to ${to}; what is in ${from} stays there`,
  }));
}

/** Undefined where there is none, and where it is the same. */
async function appliedConfig(
  host: Host,
  paths: Paths,
  loaded: Pick<LoadedConfig, 'text'>,
): Promise<Config | undefined> {
  try {
    return (await readOtherKept(host, paths, loaded))?.config;
  } catch (error) {
    // One that this version no longer takes: nothing can be compared.
    if (error instanceof AppError && error.code === 'config/invalid') return undefined;
    throw error;
  }
}

function movesBetween(before: Config | undefined, after: Config): Move[] {
  return Object.values(after.services).flatMap((service) => {
    const known = before?.services[service.name];
    if (before === undefined || known === undefined) return [];
    const from = databaseClient(before, known)?.database;
    const to = databaseClient(after, service)?.database;
    if (from === undefined || to === undefined || from === to) return [];
    return [{ service: service.name, from, to }];
  });
}

function otherDatabase(moves: readonly Move[]): AppError {
  const [first] = moves;
  return new AppError({
    code: 'config/other-database',
    what: `this config gives another database to ${moves.map(({ service }) => service).join(', ')}; nothing was changed`,
    why: moves
      .map(
        ({ service, from, to }) =>
          `services.${service} has its data in ${from}, and would go on with ${to}`,
      )
      .join('\n'),
    hint: `a single name in postgres.databases goes to every service: write \`database: ${first?.from}\` at services.${first?.service}${moves.length > 1 ? ', and so on,' : ''} to stay, or \`database: ${first?.to}\` to move without the data`,
    details: moves,
  });
}
