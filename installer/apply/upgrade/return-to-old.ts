import { POSTGRES_SERVICE } from '../../components/postgres/names.ts';
import { composeUp } from '../../engine/compose.ts';
import { LABELS } from '../../model/labels.ts';
import type { LockFile } from '../../model/lock-file.ts';
import { majorOf } from '../../model/postgres-upgrade.ts';
import { engineName } from '../../model/stack.ts';
import { reactionKey } from '../../plan/reactions.ts';
import type { ApplyContext } from '../context.ts';
import { type Generation, readGeneration } from '../generation.ts';
import { ManifestKeeper, readManifest } from '../manifest.ts';
import { restoreFiles } from '../restore-files.ts';
import { serviceContainers } from '../run.ts';
import { clusterMaker } from './cluster-maker.ts';
import { forgetUpgrade, readUpgrade, saveUpgrade } from './journal.ts';

/** Replaying the WAL after a crash takes its time. */
const PATIENCE_SECONDS = 600;

/**
 * Takes up what a killed run left of an upgrade, before anything is planned: where the new cluster does not count
 * yet, or not any more, the old one runs again.
 */
export async function settleUpgrade(context: ApplyContext): Promise<void> {
  const { host, paths, report } = context;
  await context.clusters?.clear();
  const journal = await readUpgrade(host, paths);
  if (journal === undefined) return;
  if (journal.phase === 'copying' || journal.phase === 'returning') {
    report({
      kind: 'notice',
      text: `going back to Postgres ${journal.from.major}: its upgrade was interrupted`,
    });
    await returnToOld(context);
  }
  // Killed after everything was in force and before it was noted. By the version, not by the volume: a restore puts
  // another volume in, and the journal must not take it away again.
  const major = await majorInForce(context);
  if (journal.phase === 'switched' && major === journal.to.major) {
    await saveUpgrade(host, paths, { ...journal, phase: 'done' });
  }
  if (journal.phase === 'reverting' && major === journal.from.major) {
    await forgetUpgrade(host, paths);
  }
}

/** Of Postgres, as the last complete apply left it. */
async function majorInForce({ host, paths }: ApplyContext): Promise<string | undefined> {
  const generation = await readGeneration(host, paths);
  const lock = generation?.files.get(paths.lock)?.content;
  if (lock === undefined) return undefined;
  const { postgres } = (JSON.parse(lock) as Pick<LockFile, 'images'>).images;
  return postgres === undefined ? undefined : majorOf(postgres);
}

/**
 * The files of the last complete apply, its Postgres, and nothing of the new cluster unless the journal keeps it.
 * May be killed anywhere and run again.
 */
export async function returnToOld(context: ApplyContext): Promise<void> {
  const { host, engine, paths, project } = context;
  const journal = await readUpgrade(host, paths);
  if (journal === undefined) return;
  await clusterMaker(context).end();
  const generation = await readGeneration(host, paths);
  if (generation !== undefined) {
    if (journal.phase === 'returning') await filesBack(context, generation);
    await serverBack(context, generation);
  }
  const volume = engineName(project, journal.to.volume);
  // With our label: what somebody else made under that name is not ours to remove.
  const ours = await engine.volumes({ [LABELS.project]: project });
  if (journal.keepsNew !== true && ours.some(({ name }) => name === volume)) {
    await host.run({ argv: ['docker', 'volume', 'rm', volume] });
  }
  await forgetUpgrade(host, paths);
}

async function filesBack(context: ApplyContext, generation: Generation): Promise<void> {
  const { host, paths } = context;
  const manifest = new ManifestKeeper(
    host,
    paths.manifest,
    await readManifest(host, paths.manifest),
  );
  const restored = await restoreFiles(
    { host, paths, manifest, desired: { files: new Map() } },
    generation,
  );
  const owed = restored
    .flatMap((path) => generation.files.get(path)?.onChange ?? [])
    .map(reactionKey);
  await manifest.update({ pending: [...new Set([...manifest.current.pending, ...owed])] });
}

async function serverBack(context: ApplyContext, { specs }: Generation): Promise<void> {
  const { host, engine, paths, project } = context;
  const wanted = specs[POSTGRES_SERVICE];
  const all = await serviceContainers(context, [POSTGRES_SERVICE]);
  const runs = all.some(
    ({ labels, status }) => labels[LABELS.spec] === wanted && status === 'running',
  );
  if (!runs || all.length > 1) {
    const compose = { project, directory: paths.stack, secrets: true };
    await host.run(composeUp(compose, [{ service: POSTGRES_SERVICE }], { recreate: true }));
  }
  const now = await serviceContainers(context, [POSTGRES_SERVICE]);
  await engine.waitHealthy(
    now.map(({ id }) => id),
    { timeoutSeconds: PATIENCE_SECONDS },
  );
}
