import { posix } from 'node:path';
import { AppError } from '../errors.ts';
import type { DesiredFile } from '../model/desired.ts';
import type { Operation } from '../model/operation.ts';
import { sha256 } from '../plan/files.ts';
import { reactionKey } from '../plan/reactions.ts';
import { hashFiles, NOT_A_FILE } from './observe-files.ts';
import type { Run } from './run.ts';

type OperationOf<Kind extends Operation['kind']> = Extract<Operation, { kind: Kind }>;

/**
 * Before the first file changes, the manifest learns all that are about to be written, and every reaction
 * that is due: a kill at any later moment leaves files that are known as ours and reactions that are still due.
 * @param operations those that are carried out next
 */
export async function declareFileChanges(
  run: Run,
  operations: readonly Operation[],
): Promise<void> {
  const files = plannedWrites(run, operations);
  const replaced = [
    ...files.map(({ path, content }) => ({ path, wanted: sha256(content) })),
    ...plannedRemovals(operations),
  ];
  await refuseForeignChanges(run, replaced);
  await keepForeignContent(run, replaced);
  const { manifest, observed } = run;
  const known = { ...manifest.current.files };
  for (const [path, intent] of Object.entries(manifest.current.intents)) {
    if (observed.files.get(path)?.sha256 === intent) known[path] = intent;
  }
  const reactions = [
    ...files.flatMap(({ onChange }) => onChange.map(reactionKey)),
    ...operations.filter(isReaction).map(({ id }) => id),
  ];
  await manifest.update({
    files: known,
    intents: Object.fromEntries(files.map(({ path, content }) => [path, sha256(content)])),
    pending: [...new Set([...manifest.current.pending, ...reactions])],
  });
}

/** Their ids are the keys of the reactions. */
function isReaction({ kind }: Operation): boolean {
  return ['reload', 'restart', 'provision', 'host-command'].includes(kind);
}

export async function writeFile(run: Run, operation: OperationOf<'write-file'>): Promise<void> {
  const file = desiredFile(run, operation.path);
  await run.host.write(file.path, file.content, attributesOf(file));
}

/** After the last file was written: the intents are facts. */
export async function recordWrites(run: Run): Promise<void> {
  const { files, intents } = run.manifest.current;
  await run.manifest.update({ files: { ...files, ...intents }, intents: {} });
}

export async function removeFile(run: Run, operation: OperationOf<'remove-file'>): Promise<void> {
  const { host, paths, manifest } = run;
  await host.remove(operation.path);
  for (const top of [paths.stack, paths.secretMounts]) {
    await removeEmptyFolders(run, posix.dirname(operation.path), top);
  }
  const { [operation.path]: _gone, ...files } = manifest.current.files;
  await manifest.update({ files });
}

export async function makeDirectory(
  run: Run,
  operation: OperationOf<'make-directory'>,
): Promise<void> {
  const wanted = run.desired.directories.find(({ path }) => path === operation.path);
  const { mode, uid, gid } = wanted ?? { mode: operation.mode, uid: 0, gid: 0 };
  await run.host.makeDirectory(operation.path, { mode, uid, gid });
}

/** Removes `folder` and its parents below `top` as long as nothing is in them. */
async function removeEmptyFolders(run: Run, folder: string, top: string): Promise<void> {
  const kept = new Set(run.desired.directories.map(({ path }) => path));
  for (let at = folder; at.startsWith(`${top}/`) && !kept.has(at); at = posix.dirname(at)) {
    const found = await run.host.stat(at);
    // A killed run may have removed this one and not its parent.
    if (found === undefined) continue;
    if (found.type !== 'directory' || (await run.host.list(at)).length > 0) return;
    await run.host.remove(at, { recursive: true });
  }
}

export function attributesOf({ mode, uid, gid }: DesiredFile): {
  mode: number;
  uid: number;
  gid: number;
} {
  return { mode, uid, gid };
}

function plannedWrites(run: Run, operations: readonly Operation[]): DesiredFile[] {
  return operations.flatMap((operation) =>
    operation.kind === 'write-file' ? [desiredFile(run, operation.path)] : [],
  );
}

function plannedRemovals(operations: readonly Operation[]): ReplacedFile[] {
  return operations.flatMap((operation) =>
    operation.kind === 'remove-file' ? [{ path: operation.path }] : [],
  );
}

function desiredFile(run: Run, path: string): DesiredFile {
  const file = run.desired.files.get(path);
  if (file === undefined) throw new Error(`the plan writes ${path}, which is not desired`);
  return file;
}

/** What stands in `path` goes. */
interface ReplacedFile {
  readonly path: string;
  /** Hash of what is written there; absent where the file is removed. */
  readonly wanted?: string;
}

/** Building images may take minutes: a file that somebody changed in that time is neither overwritten nor removed. */
async function refuseForeignChanges(run: Run, files: readonly ReplacedFile[]): Promise<void> {
  const paths = files.map(({ path }) => path);
  const present = await hashFiles(run.host, paths);
  const changed = files.filter(({ path, wanted }) => {
    const before = run.observed.files.get(path)?.sha256;
    const now = present.get(path);
    return before !== NOT_A_FILE && now !== before && now !== wanted;
  });
  if (changed.length === 0) return;
  throw new AppError({
    code: 'drift/changed-meanwhile',
    what: `somebody changed ${changed.map(({ path }) => path).join(', ')} while this apply ran`,
    why: 'none of them was replaced or removed',
    hint: 'look at `holdfast plan`, then apply again',
  });
}

/** What `--adopt` replaces or removes is not ours: a copy stays. */
async function keepForeignContent(run: Run, files: readonly ReplacedFile[]): Promise<void> {
  const { files: known, intents } = run.manifest.current;
  for (const { path, wanted } of files) {
    const hash = run.observed.files.get(path)?.sha256;
    if (hash === undefined || hash === NOT_A_FILE) continue;
    if (hash === known[path] || hash === intents[path] || hash === wanted) continue;
    const content = await run.host.read(path);
    if (content === undefined) continue;
    const copy = posix.join(run.paths.state, 'replaced', hash.slice(0, 12), path);
    await run.host.makeDirectory(posix.join(run.paths.state, 'replaced'), {
      mode: 0o700,
      uid: 0,
      gid: 0,
    });
    await run.host.write(copy, content, { mode: 0o600, uid: 0, gid: 0 });
    run.report({ kind: 'notice', text: `what stood in ${path} is kept as ${copy}` });
  }
}
