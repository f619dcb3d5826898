import { POSTGRES_SERVICE } from '../../components/postgres/names.ts';
import { isEngineLost } from '../../engine/lost-engine.ts';
import { AppError } from '../../errors.ts';
import type { PostgresUpgrade } from '../../model/postgres-upgrade.ts';
import { explained } from '../explained.ts';
import { type Run, serviceContainers } from '../run.ts';
import { stopAndRemove } from '../stop-containers.ts';
import { clusterMaker } from './cluster-maker.ts';
import { saveUpgrade } from './journal.ts';
import { returnToOld } from './return-to-old.ts';

/**
 * Brings the data of Postgres to another major version, up to the moment from which the new cluster counts. What may
 * fail without harm comes first: a backup and a rehearsal. Then the container of the old server is removed, so that
 * nothing but holdfast can start it again, and the data is copied. A failure brings the old one back at once, a kill
 * at the next apply.
 * @throws AppError `preflight/postgres-upgrade` before anything was stopped, class `restore` after it
 */
export async function upgradePostgres(run: Run): Promise<void> {
  const { host, paths, desired } = run;
  const wanted = desired.postgresUpgrade;
  if (wanted === undefined) throw new Error('the plan upgrades Postgres and nothing says to what');
  // With its digest, which is known since the image is there.
  const image = desired.lock.images.postgres ?? wanted.to.image;
  const upgrade: PostgresUpgrade = { from: wanted.from, to: { ...wanted.to, image } };
  const clusters = clusterMaker(run);
  await clusters.backUp();
  const { problems } = await clusters.rehearse(upgrade);
  if (problems.length > 0) throw cannotBe(upgrade, problems);
  await saveUpgrade(host, paths, { version: 1, phase: 'copying', ...upgrade });
  try {
    const containers = await serviceContainers(run, [POSTGRES_SERVICE]);
    await stopAndRemove(
      run,
      containers.map(({ id }) => id),
    );
    const { rowsWritten } = await clusters.copy(upgrade);
    await saveUpgrade(host, paths, {
      version: 1,
      phase: 'switched',
      ...upgrade,
      switchedAt: run.clock.now().toISOString(),
      rowsWritten,
    });
  } catch (error) {
    if (!(error instanceof AppError) || isEngineLost(error)) throw error;
    throw await afterReturn(run, error);
  }
}

async function afterReturn(run: Run, failure: AppError): Promise<AppError> {
  try {
    await returnToOld(run);
    return explained(failure, 'the old cluster runs again; nothing in it was changed');
  } catch (error) {
    if (!(error instanceof AppError)) throw error;
    return explained(
      failure,
      `bringing the old cluster back failed too, and the next apply does it: ${error.message}`,
    );
  }
}

function cannotBe({ from, to }: PostgresUpgrade, problems: readonly string[]): AppError {
  return new AppError({
    code: 'preflight/postgres-upgrade',
    what: `the data of Postgres ${from.major} does not go over to ${to.major}; nothing was stopped`,
    why: problems.join('\n'),
    hint: 'correct what it names, try it with `holdfast postgres rehearse`, then apply again',
    details: { problems },
  });
}
