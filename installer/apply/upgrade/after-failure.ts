import { POSTGRES_SERVICE } from '../../components/postgres/names.ts';
import { isEngineLost } from '../../engine/lost-engine.ts';
import { AppError } from '../../errors.ts';
import type { UpgradeJournal } from '../../model/postgres-upgrade.ts';
import { engineName } from '../../model/stack.ts';
import { up } from '../compose-run.ts';
import { explained } from '../explained.ts';
import { callsForRollback, rollBack } from '../rollback.ts';
import { type Run, serviceContainers } from '../run.ts';
import { stopAndRemove } from '../stop-containers.ts';
import { clusterMaker } from './cluster-maker.ts';
import { readUpgrade, saveUpgrade } from './journal.ts';
import { returnToOld } from './return-to-old.ts';

/**
 * What a failing apply does about it: the last complete one again where what was changed does not work. In the
 * middle of an upgrade of Postgres after every failure, unless somebody has written to the new cluster already.
 * @returns the failure, with what was done in its reason
 */
export async function afterFailure(run: Run, error: unknown): Promise<unknown> {
  if (!(error instanceof AppError) || isEngineLost(error)) return error;
  const journal = await readUpgrade(run.host, run.paths);
  if (journal?.phase === 'switched') return await returnFrom(run, error, journal);
  if (!callsForRollback(error)) return error;
  const failure = await rollBack(run, error);
  // The files lead to the new cluster again, so it is the one that counts.
  if (journal?.phase === 'reverting')
    await saveUpgrade(run.host, run.paths, { ...journal, phase: 'done' });
  return failure;
}

async function returnFrom(run: Run, error: AppError, journal: UpgradeJournal): Promise<AppError> {
  const { host, paths } = run;
  try {
    const containers = await serviceContainers(run, [POSTGRES_SERVICE]);
    await stopAndRemove(
      run,
      containers.map(({ id }) => id),
    );
    const rows = await clusterMaker(run).writtenSince(journal);
    // Running services are in as soon as it listens, long before it is well: rows that were counted are theirs.
    if ((rows ?? 0) > 0 || (rows === undefined && mayHaveTakenWrites(run))) {
      await up(run, [POSTGRES_SERVICE], { recreate: true });
      return explained(error, staysText(journal, rows));
    }
    const isEmpty = rows === 0;
    await saveUpgrade(host, paths, {
      ...journal,
      phase: 'returning',
      ...(isEmpty ? {} : { keepsNew: true }),
    });
    const failure = await rollBack(run, error);
    await returnToOld(run);
    const kept = isEmpty ? '' : `; ${keptText(run, journal)}`;
    return explained(
      failure,
      `Postgres is back on its cluster of version ${journal.from.major}${kept}`,
    );
  } catch (second) {
    if (!(second instanceof AppError)) throw second;
    return explained(
      error,
      `the way back failed too, and the next apply takes it: ${second.message}`,
    );
  }
}

/** Where nobody can count: the new server was well once, or an earlier run left it to serve. */
function mayHaveTakenWrites({ plan, done }: Run): boolean {
  if (!plan.operations.some(({ kind }) => kind === 'upgrade-postgres')) return true;
  return !plan.operations.some(
    (operation) =>
      operation.kind === 'compose-up' &&
      operation.services.some(({ service }) => service === POSTGRES_SERVICE) &&
      !done.includes(operation.id),
  );
}

function keptText({ project }: Run, { to }: UpgradeJournal): string {
  return (
    `nobody could count the rows of the one of ${to.major}, so it is kept; when you are sure: ` +
    `docker volume rm ${engineName(project, to.volume)}`
  );
}

function staysText({ to, from }: UpgradeJournal, rows: number | undefined): string {
  const count = rows === undefined ? 'rows may have been' : `${rows} rows were`;
  return (
    `${count} written to Postgres ${to.major} already, so it stays: correct what is wrong and apply again, or give ` +
    `them up: ask for postgres.version: "${from.major}", then \`holdfast postgres revert\``
  );
}
