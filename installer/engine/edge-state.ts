import { createHash } from 'node:crypto';
import { posix } from 'node:path';
import { AppError } from '../errors.ts';
import type { Command, Host } from '../host/host.ts';
import {
  type EdgeContainer,
  type EdgeState,
  EMPTY_EDGE_STATE,
  edgeStateText,
  parseEdgeState,
  reconcile,
} from '../model/edge-state.ts';
import { LABELS } from '../model/labels.ts';
import type { Paths } from '../model/paths.ts';
import type { ContainerState, Engine } from './engine.ts';

export interface EdgeContext {
  readonly host: Host;
  readonly engine: Engine;
  readonly paths: Pick<Paths, 'edge'>;
  readonly project: string;
}

/** Writers hold the lock for milliseconds: one that loses so often is starved by a fault. */
const ATTEMPTS = 50;

/** Exit code when somebody else wrote meanwhile, or holds the lock for too long. */
const OVERTAKEN = 75;
const LOCK_SECONDS = 5;

/**
 * Replaces the file when it is still the one that was read, with all of its input. The kernel frees the
 * lock of a writer that is killed. $1 path, $2 sha256 of what was read or `absent`, $3 sha256 of the input.
 */
const SWAP = `export LC_ALL=C; set -eu; umask 022
now=absent
[ ! -e "$1" ] || now=$(sha256sum <"$1")
[ "\${now%% *}" = "$2" ] || exit ${OVERTAKEN}
cat >"$1.new"
new=$(sha256sum <"$1.new")
[ "\${new%% *}" = "$3" ] || exit ${OVERTAKEN}
sync -- "$1.new"
mv -fT -- "$1.new" "$1"
sync -- "\${1%/*}"`;

export function edgeStatePath(paths: Pick<Paths, 'edge'>): string {
  return posix.join(paths.edge, 'services.json');
}

/** What the file says; empty when it is missing or not a state. */
export async function readEdgeState({
  host,
  paths,
}: Pick<EdgeContext, 'host' | 'paths'>): Promise<EdgeState> {
  return (await readFile(host, edgeStatePath(paths))).state;
}

/**
 * Brings the file to what the engine shows and `change` says, and returns it. Safe beside other writers and
 * against a kill at any moment; `change` may be called again and shall be pure.
 * @throws AppError `engine/edge-state`
 */
export async function updateEdgeState(
  { host, engine, paths, project }: EdgeContext,
  change: (state: EdgeState, containers: readonly EdgeContainer[]) => EdgeState = (state) => state,
): Promise<EdgeState> {
  const path = edgeStatePath(paths);
  for (let attempt = 0; attempt < ATTEMPTS; attempt += 1) {
    const read = await readFile(host, path);
    const containers = (await engine.containers({ [LABELS.project]: project })).map(edgeContainer);
    const now = reconcile(read.state, containers);
    const wanted = reconcile(change(now, containers), containers);
    // Also where the file is lost and nobody says what to route: nginx keeps to the last good one.
    if (edgeStateText(wanted) === edgeStateText(read.state)) return read.state;
    const next: EdgeState = { ...wanted, generation: read.state.generation + 1 };
    if (read.digest === 'absent') {
      await host.makeDirectory(paths.edge, { mode: 0o755, uid: 0, gid: 0 });
    }
    const { exitCode } = await host.run(swap(path, read.digest, edgeStateText(next)));
    if (exitCode === 0) return next;
  }
  throw new AppError({
    code: 'engine/edge-state',
    what: `${path} could not be written: something else changes it all the time or holds its lock`,
    hint: `\`fuser -v ${path}.lock\` shows who; then run the same command again`,
  });
}

export function edgeContainer({ id, name, service, labels }: ContainerState): EdgeContainer {
  // Containers of before there were slots count as the first one.
  return { id, name, service, slot: labels[LABELS.slot] === 'b' ? 'b' : 'a' };
}

async function readFile(
  host: Host,
  path: string,
): Promise<{ readonly state: EdgeState; readonly digest: string }> {
  const bytes = await host.read(path);
  if (bytes === undefined) return { state: EMPTY_EDGE_STATE, digest: 'absent' };
  const state = parseEdgeState(Buffer.from(bytes).toString('utf8')) ?? EMPTY_EDGE_STATE;
  return { state, digest: sha256(bytes) };
}

function swap(path: string, expected: string, text: string): Command {
  return {
    argv: [
      'flock',
      '--exclusive',
      '--timeout',
      String(LOCK_SECONDS),
      '--conflict-exit-code',
      String(OVERTAKEN),
      `${path}.lock`,
      'sh',
      '-c',
      SWAP,
      'sh',
      path,
      expected,
      sha256(text),
    ],
    stdin: text,
    okExitCodes: [0, OVERTAKEN],
    timeoutSeconds: LOCK_SECONDS + 30,
  };
}

function sha256(content: string | Uint8Array): string {
  return createHash('sha256').update(content).digest('hex');
}
