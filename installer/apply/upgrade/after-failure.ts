import { POSTGRES_SERVICE } from '../../components/postgres/names.ts';
import { isEngineLost } from '../../engine/lost-engine.ts';
import { AppError } from '../../errors.ts';
import type { UpgradeJournal } from '../../model/postgres-upgrade.ts';
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
    if (rows !== 0 && wasLetIn(run)) {
      await up(run, [POSTGRES_SERVICE], { recreate: true });
      return explained(error, staysText(journal, rows));
    }
    await saveUpgrade(host, paths, { ...journal, phase: 'returning' });
    const failure = await rollBack(run, error);
    await returnToOld(run);
    return explained(failure, `Postgres is back on its cluster of version ${journal.from.major}`);
  } catch (second) {
    if (!(second instanceof AppError)) throw second;
    return explained(
      error,
      `the way back failed too, and the next apply takes it: ${second.message}`,
    );
  }
}

/** Whether the new server was well once: from then on it took writes. */
function wasLetIn({ plan, done }: Run): boolean {
  return !plan.operations.some(
    (operation) =>
      operation.kind === 'compose-up' &&
      operation.services.some(({ service }) => service === POSTGRES_SERVICE) &&
      !done.includes(operation.id),
  );
}

function staysText({ to, from }: UpgradeJournal, rows: number | undefined): string {
  const count = rows === undefined ? 'rows may have been' : `${rows} rows were`;
  return (
    `${count} written to Postgres ${to.major} already, so it stays: correct what is wrong and apply again, or give ` +
    `them up: ask for postgres.version: "${from.major}", then \`holdfast postgres revert\``
  );
}
