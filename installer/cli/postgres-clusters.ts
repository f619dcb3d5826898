import type { ClusterMaker } from '../apply/context.ts';
import { type PostgresServer, queryJson } from '../backup/psql.ts';
import { copyToNewCluster, endUpgrade, writtenSince } from '../backup/upgrade/clusters.ts';
import { clearRehearsal, lastRehearsal, rehearse } from '../backup/upgrade/rehearse.ts';
import { SUPERUSER, type UpgradeContext } from '../backup/upgrade/upgrade-server.ts';
import { INITDB_ARGS } from '../components/postgres/component.ts';
import { POSTGRES_SERVICE, SUPERUSER_SECRET } from '../components/postgres/names.ts';
import { AppError } from '../errors.ts';
import { LABELS } from '../model/labels.ts';
import type { PostgresUpgrade, Rehearsal } from '../model/postgres-upgrade.ts';
import type { CliContext, Server } from './context.ts';
import { snapshot } from './snapshot.ts';

/** Milliseconds that a rehearsal without a problem holds for. */
const REHEARSAL_HOLDS = 24 * 3600 * 1000;

export function upgradeContext(
  { paths, report }: CliContext,
  { host, engine }: Server,
  project: string,
): UpgradeContext {
  return {
    host,
    engine,
    paths,
    project,
    report,
    initdbArgs: INITDB_ARGS,
    passwordFile: `${paths.secretMounts}/${POSTGRES_SERVICE}/${SUPERUSER_SECRET}`,
  };
}

export function clusterMaker(context: CliContext, server: Server, project: string): ClusterMaker {
  const upgrading = upgradeContext(context, server, project);
  return {
    backUp: async () => {
      await snapshot(context, server);
    },
    rehearse: async (upgrade) => {
      const last = await lastRehearsal(upgrading);
      const age = last === undefined ? Infinity : context.now().getTime() - Date.parse(last.at);
      const holds = isOf(upgrade, last) && last.problems.length === 0 && age < REHEARSAL_HOLDS;
      return holds ? last : await rehearseNow(upgrading, upgrade, context.now);
    },
    copy: (upgrade) => copyToNewCluster(upgrading, upgrade),
    end: () => endUpgrade(upgrading),
    clear: () => clearRehearsal(upgrading),
    writtenSince: (journal) => writtenSince(upgrading, journal),
  };
}

/** @throws AppError `backup/postgres-down` */
export async function rehearseNow(
  context: UpgradeContext,
  upgrade: PostgresUpgrade,
  now: () => Date,
): Promise<Rehearsal> {
  const live = await runningPostgres(context, 'holdfast-rehearsal');
  return await rehearse(context, live, upgrade, { bytes: await bytesOf(live), now });
}

export function isOf(
  { from, to }: PostgresUpgrade,
  last: Rehearsal | undefined,
): last is Rehearsal {
  return (
    last !== undefined &&
    last.from === from.major &&
    last.to === to.major &&
    last.image === to.image.reference
  );
}

/** Of all databases. */
export async function bytesOf(server: PostgresServer): Promise<number> {
  return await queryJson<number>(
    server,
    'postgres',
    'SELECT to_json(sum(pg_database_size(oid))::bigint) FROM pg_database;',
  );
}

/** The server of the stack, on whichever machine. @throws AppError `backup/postgres-down` */
export async function runningPostgres(
  { engine, project }: Pick<UpgradeContext, 'engine' | 'project'>,
  applicationName: string,
): Promise<PostgresServer> {
  const all = await engine.containers({ [LABELS.project]: project });
  const found = all.find(
    ({ service, status }) => service === POSTGRES_SERVICE && status === 'running',
  );
  if (found === undefined) {
    throw new AppError({
      code: 'backup/postgres-down',
      what: 'Postgres does not run',
      why: 'an upgrade starts from a server that is well',
      hint: 'holdfast status; holdfast logs postgres',
    });
  }
  return { engine, container: found.id, superuser: SUPERUSER, applicationName };
}
