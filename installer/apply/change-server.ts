import { AppError } from '../errors.ts';
import type { Operation } from '../model/operation.ts';
import type { ApplyRequest, Planned } from './apply.ts';
import { type AuditEntry, appendAudit, isAuditKept } from './audit.ts';
import type { ApplyContext } from './context.ts';
import { deployNews } from './deploy-news.ts';
import { checkDiskSpace } from './disk.ts';
import { failingBefore, isExcused } from './excused.ts';
import { execute } from './execute.ts';
import { finish, isFinished, waitForAll, waitForChanged } from './finish.ts';
import { isBringing } from './images.ts';
import { explainLostEngine } from './lost-engine.ts';
import { ManifestKeeper, setUnreadableManifestAside } from './manifest.ts';
import { checkPorts } from './ports.ts';
import { recordImages } from './record-images.ts';
import { type Run, stopIfInterrupted } from './run.ts';
import { afterFailure } from './upgrade/after-failure.ts';
import { settleUpgrade } from './upgrade/return-to-old.ts';
import { validate } from './validate.ts';
import { waitUntilAwake } from './wait-awake.ts';

/** Carries a confirmed plan out, goes back where what was changed does not work, and writes the audit line. */
export async function changeServer(
  context: ApplyContext,
  request: ApplyRequest,
  { plan, observed, desired }: Planned,
): Promise<void> {
  const { host, engine, paths, clock } = context;
  if (plan.operations.length > 0) await waitUntilAwake(context);
  await checkDiskSpace(host, engine, paths, plan);
  await checkPorts(host, plan, desired, observed);
  if (request.adopt === true) await setUnreadableManifestAside(host, paths.manifest);
  const begin = clock.now();
  const run: Run = {
    ...context,
    desired,
    observed,
    plan,
    began: begin,
    command: request.command,
    manifest: new ManifestKeeper(host, paths.manifest, observed.manifest),
    done: [],
    ...(request.interrupt === undefined ? {} : { interrupt: request.interrupt }),
  };
  const wasKept = await isAuditKept(host, paths);
  const audit = (ending: Pick<AuditEntry, 'result' | 'error'>): Promise<void> =>
    appendAudit(
      host,
      paths,
      {
        who: request.process.who,
        when: begin.toISOString(),
        command: request.command,
        configDigest: desired.configDigest,
        operations: run.done,
        planned: plan.operations.length,
        seconds: (clock.now().getTime() - begin.getTime()) / 1000,
        ...ending,
      },
      wasKept,
    );
  const news = deployNews(run, request);
  news.began();
  try {
    await perform(run, request, isFinished({ plan, observed, desired }));
  } catch (failure) {
    const error = explainLostEngine(run, failure);
    try {
      await audit(endingOf(error));
    } catch (auditError) {
      context.report({
        kind: 'warning',
        code: 'audit/not-written',
        text: `the audit line could not be written: ${String(auditError)}`,
      });
    }
    await news.ended(error);
    throw error;
  }
  await audit({ result: 'done' });
  await news.ended();
}

/** @param isInForce whether an apply of exactly this came to its end before, but for what goes afterwards */
async function perform(run: Run, request: ApplyRequest, isInForce: boolean): Promise<void> {
  const leaving = run.plan.operations.filter(isAfterwards);
  const operations = run.plan.operations.filter((operation) => !isAfterwards(operation));
  if (isInForce && operations.length === 0 && leaving.length > 0) {
    await execute(run, leaving);
    return;
  }
  await request.keepRendered?.();
  await execute(run, operations.filter(isBringing));
  const recorded: Run = { ...run, desired: await recordImages(run) };
  stopIfInterrupted(recorded);
  await validate(recorded);
  const failing = await failingBefore(recorded, request);
  try {
    await execute(
      recorded,
      operations.filter((operation) => !isBringing(operation)),
    );
    await waitForChanged(recorded);
    if (recorded.desired.postgresUpgrade !== undefined) await waitForAll(recorded);
    await request.verify?.(recorded.desired, (check, failure) =>
      isExcused(recorded, failing, check, failure),
    );
  } catch (error) {
    throw await afterFailure(recorded, error);
  }
  await request.keepConfig?.();
  await finish(recorded);
  await settleUpgrade(recorded);
  await execute(recorded, leaving);
  if ((await request.configDigest()) !== recorded.desired.configDigest) {
    recorded.report({
      kind: 'warning',
      code: 'config/changed-while-applying',
      text: 'the config file was edited while it was applied: what was shown is in force, run `holdfast apply` for the rest',
    });
  }
}

function isAfterwards({ afterwards }: Operation): boolean {
  return afterwards === true;
}

function endingOf(error: unknown): Pick<AuditEntry, 'result' | 'error'> {
  if (!(error instanceof AppError)) return { result: 'failed', error: String(error) };
  const result = error.code === 'consent/interrupted' ? 'interrupted' : 'failed';
  // Without the reason: it may quote a program's output at length.
  return { result, error: `${error.code}: ${error.what}` };
}
