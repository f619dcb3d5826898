import { isAtRest, isUp } from '../engine/container-state.ts';
import { edgeContainer, readEdgeState } from '../engine/edge-state.ts';
import type { ContainerState } from '../engine/engine.ts';
import type { Desired } from '../model/desired.ts';
import { LABELS } from '../model/labels.ts';
import { EMPTY_MANIFEST, type Manifest } from '../model/manifest.ts';
import { sha256 } from '../plan/files.ts';
import type { Observed, ObservedContainer, ObservedFile } from '../plan/observed.ts';
import { reactionKey } from '../plan/reactions.ts';
import { observeSites } from '../rollout/site-folders.ts';
import type { ApplyContext } from './context.ts';
import { isDamaged } from './damaged-file.ts';
import { hostFacts } from './facts.ts';
import { readLockFile } from './lock-file.ts';
import { isUnreadable, readManifest } from './manifest.ts';
import { hashFiles, type InspectedPath, inspectPaths, NOT_A_FILE } from './observe-files.ts';
import { readText } from './read-text.ts';
import { lockInForce, readUpgrade } from './upgrade/journal.ts';
import { appliedVolumes } from './volumes.ts';

export type ObserveContext = Pick<ApplyContext, 'host' | 'engine' | 'paths' | 'project'> & {
  readonly secrets: Pick<ApplyContext['secrets'], 'all'>;
};

export interface ObserveOptions {
  /** Go on without the manifest when it cannot be read. */
  readonly adopt?: boolean;
}

/** What rendering needs to know of a server. Files, folders and images follow once `desired` names them. */
export async function observeServer(
  context: ObserveContext,
  options: ObserveOptions = {},
): Promise<Observed> {
  const { host, engine, paths, project } = context;
  const ours = { [LABELS.project]: project };
  const [
    facts,
    manifest,
    lock,
    secrets,
    edge,
    containers,
    networks,
    volumes,
    sites,
    diverted,
    upgrade,
    mounted,
  ] = await Promise.all([
    hostFacts(host),
    readManifestOr(context, options),
    readLockFile(host, paths.lock),
    context.secrets.all(),
    readEdgeState(context),
    engine.containers(ours),
    engine.networks(ours),
    engine.volumes(ours),
    observeSites(host, paths),
    host.stat(paths.standIn),
    readUpgrade(host, paths),
    readableVolumes(context),
  ]);
  return {
    facts,
    manifest,
    lock: lockInForce(lock, upgrade),
    ...(upgrade === undefined ? {} : { postgresUpgrade: upgrade }),
    secrets,
    edge,
    files: new Map(),
    directories: new Map(),
    containers: containers.filter(({ service }) => service !== '').map(observedContainer),
    standInLeft:
      diverted !== undefined || containers.some(({ labels }) => LABELS.standIn in labels),
    networks: networks.map(({ name, subnet }) => ({ name, subnet })),
    volumes: volumes.map(({ name }) => name),
    appliedVolumes: [...mounted],
    sites,
    images: new Map(),
  };
}

/** Completes an observation with every file, folder and image that `desired` or the manifest names. */
export async function observeDesired(
  context: ObserveContext,
  observed: Observed,
  desired: Desired,
): Promise<Observed> {
  const { host, engine, paths } = context;
  const filePaths = [
    ...new Set([...desired.files.keys(), ...Object.keys(observed.manifest.files)]),
  ];
  const directoryPaths = desired.directories.map(({ path }) => path);
  const references = [
    ...new Set([
      ...Object.values(desired.stack.services).map(({ image }) => image),
      ...desired.images.keys(),
    ]),
  ];
  const [inspected, images] = await Promise.all([
    inspectPaths(host, [...filePaths.sort(), ...directoryPaths]),
    Promise.all(references.map((reference) => engine.image(reference))),
  ]);
  const files = await observedFiles(context, filePaths, inspected, desired);
  return {
    ...observed,
    manifest: withLockFile(
      pendingWhenUnknown(observed.manifest, desired),
      paths.lock,
      files.get(paths.lock),
    ),
    files,
    directories: new Map(
      directoryPaths.flatMap((path) => {
        const found = inspected.get(path);
        if (found?.type !== 'directory') return [];
        return [[path, { mode: found.mode, uid: found.uid, gid: found.gid }]];
      }),
    ),
    images: new Map(
      references.flatMap((reference, index) => {
        const image = images[index];
        return image === undefined ? [] : [[reference, image.id]];
      }),
    ),
  };
}

/** They tell a notice only: a compose file that somebody broke is drift, and the plan puts it back. */
async function readableVolumes(context: ObserveContext): Promise<Set<string>> {
  try {
    return await appliedVolumes(context);
  } catch (error) {
    if (!isDamaged(error)) throw error;
    return new Set();
  }
}

const UNKNOWN_PENDING = 'unknown';

async function readManifestOr(
  { host, paths }: ObserveContext,
  { adopt }: ObserveOptions,
): Promise<Manifest> {
  try {
    return await readManifest(host, paths.manifest);
  } catch (error) {
    if (!isUnreadable(error) || adopt !== true) throw error;
    return { ...EMPTY_MANIFEST, pending: [UNKNOWN_PENDING] };
  }
}

/** With the manifest, what an interrupted apply owed is lost too: reloads do no harm, so all are due. */
function pendingWhenUnknown(manifest: Manifest, desired: Desired): Manifest {
  if (!manifest.pending.includes(UNKNOWN_PENDING)) return manifest;
  const reloads = [...desired.files.values()]
    .flatMap(({ onChange }) => onChange)
    .filter(({ kind }) => kind === 'reload');
  return { ...manifest, pending: [...new Set(reloads.map(reactionKey))] };
}

/** The lock file was read, and what it says went into `desired`: it is ours even if `uninstall` removed the manifest. */
function withLockFile(manifest: Manifest, path: string, found: ObservedFile | undefined): Manifest {
  if (found === undefined) return manifest;
  return { ...manifest, files: { ...manifest.files, [path]: found.sha256 } };
}

function observedContainer(state: ContainerState): ObservedContainer {
  const running = isUp(state);
  const component = state.labels[LABELS.component];
  return {
    id: state.id,
    name: state.name,
    service: state.service,
    ...(component === undefined ? {} : { component }),
    slot: edgeContainer(state).slot,
    spec: state.labels[LABELS.spec] ?? '',
    image: state.imageReference,
    imageId: state.imageId,
    running,
    atRest: isAtRest(state),
    healthy: running && (state.health === 'healthy' || state.health === 'none'),
    memoryLimit: state.memoryLimit,
    ...(state.updatable === undefined ? {} : { updatable: state.updatable }),
    networks: state.networks,
  };
}

async function observedFiles(
  { host }: ObserveContext,
  paths: readonly string[],
  inspected: ReadonlyMap<string, InspectedPath>,
  desired: Desired,
): Promise<Map<string, ObservedFile>> {
  const regular = paths.filter((path) => inspected.get(path)?.type === 'file');
  const hashes = await hashFiles(host, regular);
  const files = new Map<string, ObservedFile>();
  for (const path of paths) {
    const found = inspected.get(path);
    const hash = found?.type === 'file' ? hashes.get(path) : NOT_A_FILE;
    if (found === undefined || hash === undefined) continue;
    const { mode, uid, gid } = found;
    const content = mayShow(path, found, hash, desired) ? await readText(host, path) : undefined;
    files.set(path, {
      sha256: hash,
      mode,
      uid,
      gid,
      ...(content === undefined ? {} : { content }),
    });
  }
  return files;
}

const LARGEST_SHOWN_BYTES = 1024 * 1024;
const READABLE_BY_OTHERS = 0o004;

/** Only what differs is read, and never what was or becomes a secret. */
function mayShow(path: string, found: InspectedPath, hash: string, desired: Desired): boolean {
  const wanted = desired.files.get(path);
  return (
    found.type === 'file' &&
    (found.mode & READABLE_BY_OTHERS) !== 0 &&
    found.size <= LARGEST_SHOWN_BYTES &&
    wanted?.secret !== true &&
    (wanted === undefined || sha256(wanted.content) !== hash)
  );
}
