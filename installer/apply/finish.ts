import { updateEdgeState } from '../engine/edge-state.ts';
import type { Desired } from '../model/desired.ts';
import { withOnly } from '../model/edge-state.ts';
import type { Manifest } from '../model/manifest.ts';
import { sha256 } from '../plan/files.ts';
import { imagesInUse } from '../plan/images.ts';
import type { Planned } from './apply.ts';
import { keepGeneration, readGeneration } from './generation.ts';
import { waitForServices } from './health.ts';
import type { Run } from './run.ts';
import { attributesOf } from './write-files.ts';

/** Whether the last apply of exactly this came to its end. */
export function isFinished({ desired, observed }: Planned): boolean {
  const { manifest } = observed;
  return (
    manifest.configDigest === desired.configDigest &&
    manifest.pending.length === 0 &&
    Object.keys(manifest.intents).length === 0 &&
    [...desired.files.values()].every(
      ({ path, content }) => manifest.files[path] === sha256(content),
    )
  );
}

/**
 * Waits for every service that differs from the last complete apply and was not waited for in this run:
 * a run that was killed may have started it.
 */
export async function waitForChanged(run: Run): Promise<void> {
  const generation = await readGeneration(run.host, run.paths);
  const waited = run.plan.operations.flatMap((operation) =>
    operation.kind === 'compose-up' ? operation.services.map(({ service }) => service) : [],
  );
  const changed = [...run.desired.specs].flatMap(([service, spec]) =>
    generation?.specs[service] === spec || waited.includes(service) ? [] : [service],
  );
  await waitForServices(run, changed);
}

/** Those too that did not change: the server that they use did. */
export async function waitForAll(run: Run): Promise<void> {
  await waitForServices(run, [...run.desired.specs.keys()]);
}

/** From here on this apply counts. The manifest is last. */
export async function finish(run: Run): Promise<void> {
  const { host, paths, desired, manifest } = run;
  await writeRecordedLock(run);
  await updateEdgeState(run, (state) => withOnly(state, [...desired.rolled.keys()]));
  const generation = manifest.current.generation + 1;
  await keepGeneration(host, paths, desired, generation);
  await manifest.update({
    files: { ...manifest.current.files, ...hashes(desired) },
    intents: {},
    pending: [],
    images: withUse(manifest.current.images, imagesInUse(desired), generation),
    generation,
    configDigest: desired.configDigest,
  });
}

/** The ids of built images are known only after the plan was made. */
async function writeRecordedLock({ host, paths, desired, manifest }: Run): Promise<void> {
  const file = desired.files.get(paths.lock);
  if (file === undefined) return;
  const hash = sha256(file.content);
  if (manifest.current.files[file.path] === hash) return;
  await manifest.update({ intents: { ...manifest.current.intents, [file.path]: hash } });
  await host.write(file.path, file.content, attributesOf(file));
}

function withUse(
  images: Manifest['images'],
  inUse: ReadonlySet<string>,
  generation: number,
): Manifest['images'] {
  return Object.fromEntries(
    Object.entries(images).map(([reference, lastUse]) => [
      reference,
      inUse.has(reference) ? generation : lastUse,
    ]),
  );
}

function hashes({ files }: Desired): Manifest['files'] {
  return Object.fromEntries(
    [...files.values()].map(({ path, content }) => [path, sha256(content)]),
  );
}
